//! How does an answer look? For people in lines, for programs as JSON or YAML.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::Value;
use svc_model::check::Level;

use crate::answer::Answer;
use crate::report::{self, Report};

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One object, the same as batch answers
    Json,
    /// The same as YAML
    Yaml,
    /// Annotations of GitHub Actions (check only)
    Github,
    /// SARIF 2.1.0 (check only)
    Sarif,
}

/// Prints answers and reports.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    /// Form of the output.
    pub format: Format,
    /// The verdict only.
    pub quiet: bool,
    /// What was passed over as well.
    pub verbose: bool,
}

impl Printer {
    /// Prints an answer.
    pub fn answer(&self, answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            Format::Github | Format::Sarif => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "--output github and sarif are for check only"))
            }
            Format::Json => json(&Value::Object(answer.json.clone()), out),
            Format::Yaml => yaml(&Value::Object(answer.json.clone()), out),
            Format::Text => {
                if let Some(text) = answer.text.as_deref().filter(|_| !self.quiet) {
                    return out.write_all(text.as_bytes());
                }
                let bold = Style::new().bold();
                writeln!(out, "{bold}{}{bold:#}", answer.headline)?;
                if self.quiet {
                    return Ok(());
                }
                let width = answer.steps.len().to_string().len();
                for (number, step) in (1..).zip(&answer.steps) {
                    writeln!(out, "  {number:width$}. {step}")?;
                }
                for detail in answer.details.iter().filter(|_| self.verbose) {
                    writeln!(out, "  {:width$}  {detail}", "")?;
                }
                Ok(())
            }
        }
    }

    /// Prints what `check` found.
    pub fn report(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            Format::Json => json(&report.json(), out),
            Format::Yaml => yaml(&report.json(), out),
            Format::Sarif => json(&report::sarif(report), out),
            Format::Github => report::github(report, out),
            Format::Text => {
                for (finding, place) in report.findings() {
                    let colour = match finding.level {
                        Level::Error => AnsiColor::Red,
                        Level::Warning => AnsiColor::Yellow,
                    };
                    let style = Style::new().bold().fg_color(Some(colour.into()));
                    let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
                    let field = if finding.field.is_empty() { String::new() } else { format!(" {}", finding.field) };
                    if !self.quiet {
                        writeln!(
                            out,
                            "{place}{style}{}{style:#}: {}{field}: {}",
                            finding.level, finding.object, finding.message
                        )?;
                    }
                }
                for ignored in report.ignored() {
                    writeln!(out, "ignored: {ignored}")?;
                }
                writeln!(out, "{}", report.summary())
            }
        }
    }
}

fn json(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{value:#}")
}

fn yaml(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_saphyr::to_string(value).map_err(io::Error::other)?;
    write!(out, "{text}")
}
