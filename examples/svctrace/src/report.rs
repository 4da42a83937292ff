//! What did `check` find? All findings of reading, completing and judging, in the order of the documents.

use std::collections::HashSet;
use std::io::{self, Write};

use clap::ValueEnum;
use route_match::gateway::check as gateway_check;
use route_match::ingress::check as ingress_check;
use route_match::istio::check as istio_check;
use serde_json::{Value, json};
use svc_model::check::Level;
use svc_model::{Cluster, Object};

use crate::read::{self, Finding, Place};

/// From which level on a report fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors
    #[default]
    Error,
    /// Errors and warnings
    Warning,
    /// Nothing
    Never,
}

/// Everything found in a world.
#[derive(Debug)]
pub struct Report {
    world: read::World,
    findings: Vec<Finding>,
    strict: bool,
}

impl Report {
    /// Judges what was read (for [`Purpose::Check`](read::Purpose)). `strict` lists objects of unknown kinds too.
    pub fn new(world: read::World, strict: bool) -> Report {
        let findings = world.with_checks(judge(&world));
        Report { world, findings, strict }
    }

    /// The findings, each with its place.
    pub fn findings(&self) -> impl Iterator<Item = (&Finding, Option<Place>)> {
        self.findings.iter().map(|finding| (finding, self.world.place(finding)))
    }

    /// Objects of unknown kinds, if they are wanted.
    pub fn ignored(&self) -> impl Iterator<Item = String> {
        let ignored = self.world.ignored.iter().filter(|_| self.strict);
        ignored.map(|ignored| format!("{} ({})", ignored.object, ignored.api_version))
    }

    /// Whether the exit status should tell of it.
    pub fn fails(&self, fail_on: FailOn) -> bool {
        match fail_on {
            FailOn::Error => self.count(Level::Error) > 0,
            FailOn::Warning => !self.findings.is_empty(),
            FailOn::Never => false,
        }
    }

    /// The count, in words.
    pub fn summary(&self) -> String {
        let count = |level, one: &str| match self.count(level) {
            1 => format!("1 {one}"),
            n => format!("{n} {one}s"),
        };
        format!("{}, {}", count(Level::Error, "error"), count(Level::Warning, "warning"))
    }

    /// The report as one object.
    pub fn json(&self) -> Value {
        let of = |level: Level| -> Vec<Value> {
            let findings = self.findings.iter().filter(|finding| finding.level == level);
            findings
                .map(|finding| {
                    let mut entry =
                        json!({ "object": finding.object, "field": finding.field, "message": finding.message });
                    if let Some(place) = self.world.place(finding) {
                        entry["file"] = (*place.file).into();
                        entry["line"] = place.line.into();
                        entry["column"] = place.column.into();
                    }
                    entry
                })
                .collect()
        };
        json!({ "errors": of(Level::Error), "warnings": of(Level::Warning) })
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// The findings of every crate about these objects. Completing is the last: what it meets with (a range that is exhausted)
/// no other rule can see.
fn judge(world: &read::World) -> Vec<svc_model::check::Finding> {
    let cluster: Cluster = world.objects.iter().map(|(object, _)| object.clone()).collect();
    let mut findings = Vec::new();
    for (object, origin) in &world.objects {
        findings.extend(svc_model::check::object(object, origin.api_version));
        match object {
            Object::Ingress(ingress) => findings.extend(ingress_check::ingress(ingress, origin.api_version)),
            Object::IngressClass(class) => findings.extend(ingress_check::ingress_class(class)),
            _ => {
                findings.extend(gateway_check::object(object, origin.api_version));
                findings.extend(istio_check::object(object));
            }
        }
    }
    findings.extend(svc_model::check::cluster(&cluster));
    findings.extend(ingress_check::cluster(&cluster));
    findings.extend(gateway_check::cluster(&cluster));
    findings.extend(istio_check::cluster(&cluster));
    findings.extend(tls_sni::check::check(&cluster, crate::ask::now()));
    findings.extend(dns_records::kubernetes::check(&cluster));
    let mut completed = cluster;
    let completion = svc_model::complete(&mut completed);
    // What a rule has said already, of the field or of an element of it, is not said again.
    let said: HashSet<(&str, &str)> =
        findings.iter().map(|f| (&*f.object, f.field.split_once('[').map_or(&*f.field, |(list, _)| list))).collect();
    let new: Vec<_> = completion.into_iter().filter(|f| !said.contains(&(&*f.object, &*f.field))).collect();
    findings.extend(new);
    findings
}

/// GitHub's annotations: `::error file=,line=,col=,title=::message`.
pub fn github(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for (finding, place) in report.findings() {
        let mut properties = Vec::new();
        if let Some(place) = place {
            properties.push(format!("file={}", escape_property(&place.file)));
            properties.push(format!("line={}", place.line));
            properties.push(format!("col={}", place.column));
        }
        let title = format!("{} {}", finding.object, finding.field);
        properties.push(format!("title={}", escape_property(title.trim_end())));
        writeln!(out, "::{} {}::{}", finding.level, properties.join(","), escape_text(&finding.message))?;
    }
    Ok(())
}

fn escape_text(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_text(text).replace(':', "%3A").replace(',', "%2C")
}

/// The report in SARIF 2.1.0. Code scanning refuses a result without a location, so a finding without one is given the first
/// line of nothing in particular.
pub fn sarif(report: &Report) -> Value {
    let results: Vec<Value> = report
        .findings()
        .map(|(finding, place)| {
            let (file, line, column) = match &place {
                Some(place) => (&*place.file, place.line, place.column),
                None => ("manifests", 1, 1),
            };
            json!({
                "ruleId": rule_id(finding),
                "level": finding.level.to_string(),
                "message": { "text": format!("{} {}: {}", finding.object, finding.field, finding.message) },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": file },
                    "region": { "startLine": line, "startColumn": column },
                } }],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "svctrace", "version": env!("CARGO_PKG_VERSION") } },
            "results": results,
        }],
    })
}

/// What a finding is about, without its place: `Service.spec.ports.port`.
fn rule_id(finding: &Finding) -> String {
    let kind = finding.object.split('/').next().unwrap_or_default();
    let kind = if kind.starts_with("document") { "document" } else { kind };
    let mut id = kind.to_owned();
    let mut inside_brackets = false;
    for c in finding.field.chars() {
        match c {
            '[' => inside_brackets = true,
            ']' => inside_brackets = false,
            _ if inside_brackets => {}
            _ => {
                if id.len() == kind.len() {
                    id.push('.');
                }
                id.push(c);
            }
        }
    }
    id
}
