//! Under which other name is a question answered, and how is that put back in the reply?
//!
//! The rules of CoreDNS's `rewrite name`: a question is renamed before all else looks at it, and the reply shows the name that
//! was asked for. There is one name a question: what is answered, forwarded or forbidden is the name that the rules made, and
//! never the one before (CVE-2026-26017 was an access list that looked at the other).
//!
//! ```
//! use dns_records::rewrite::{Rule, Rules};
//! use dns_records::{JoinedName, Name};
//!
//! let rules: Rules = ["name exact shop.example.com web.shop.svc.cluster.local", "name suffix .corp. .svc.cluster.local. answer auto"]
//!     .iter()
//!     .map(|rule| rule.parse::<Rule>())
//!     .collect::<Result<_, _>>()?;
//! let asked: Name = "Cart.shop.corp".parse()?;
//! let rewritten = rules.apply(asked.as_ref())?.expect("the second rule takes it");
//! assert_eq!(rewritten.name().to_string(), "cart.shop.svc.cluster.local.");
//! let owner = rewritten.put_back_owner(rewritten.name().into());
//! assert_eq!(owner.to_string(), "Cart.shop.corp.");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod rule;
mod text;

use crate::answer::{Section, Sink};
use crate::joined::JoinedName;
use crate::name::{Name, NameRef};
use crate::record::{Record, RecordRef};

pub use rule::{Matches, Rule, RuleError};

use rule::Back;
use text::NameText;

/// Rules in order. A question meets them one after the other, each under the name that those before have made, up to the first
/// that takes it and does not say `continue`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        Self { rules: rules.into_iter().collect() }
    }
}

/// A rule makes no name of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule} makes `{made}` of the name, which is no name")]
pub struct IllegalName {
    /// Which rule, from 0.
    pub rule: usize,
    /// What it makes, cut to 300 characters.
    pub made: String,
}

impl Rules {
    /// The rules.
    pub fn as_slice(&self) -> &[Rule] {
        &self.rules
    }

    /// Renames a name; `None` if no rule takes it, which costs a comparison a rule and no allocation.
    ///
    /// # Errors
    /// What a rule makes is no DNS name. Such a question is answered with `SERVFAIL`.
    pub fn apply(&self, asked: NameRef<'_>) -> Result<Option<Rewritten<'_>>, IllegalName> {
        let mut steps: Vec<Step> = Vec::new();
        let mut text = None;
        for (at, rule) in self.rules.iter().enumerate() {
            let before = steps.last().map_or(asked, |step| step.after.as_ref());
            let Some(made) = rule.rename(before, &mut text) else { continue };
            let illegal = |made: &str| IllegalName { rule: at, made: made.chars().take(300).collect() };
            let after = made.parse().map_err(|_| illegal(&made))?;
            text = None;
            steps.push(Step { rule: at, before: before.to_name(), after });
            if !rule.goes_on() {
                break;
            }
        }
        Ok((!steps.is_empty()).then_some(Rewritten { rules: &self.rules, steps }))
    }
}

/// A question under another name.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewritten<'r> {
    rules: &'r [Rule],
    /// At least one.
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    rule: usize,
    before: Name,
    after: Name,
}

impl<'r> Rewritten<'r> {
    /// The name to answer, to forward, and to judge by.
    pub fn name(&self) -> NameRef<'_> {
        self.steps[self.steps.len() - 1].after.as_ref()
    }

    /// The name as it was asked.
    pub fn asked(&self) -> NameRef<'_> {
        self.steps[0].before.as_ref()
    }

    /// The rules that took the question, by their place among the rules, from 0.
    pub fn rules(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().map(|step| step.rule)
    }

    /// The owner of a record as the asker is to see it: put back where the rule is exact, or has `answer auto` or `answer name`.
    pub fn put_back_owner(&self, owner: JoinedName<'_>) -> Name {
        self.put_back(owner, |rule| rule.for_owners)
    }

    /// The same for a name in the data of a record: put back where the rule is exact, or has `answer auto` or `answer value`.
    pub fn put_back_value(&self, value: JoinedName<'_>) -> Name {
        self.put_back(value, |rule| rule.for_values)
    }

    fn put_back(&self, name: JoinedName<'_>, wanted: impl Fn(&rule::Response) -> bool) -> Name {
        let mut name = Name::from(name);
        // Rules are undone in the reverse of the order in which they acted.
        for step in self.steps.iter().rev() {
            for response in self.rules[step.rule].responses().iter().rev().filter(|response| wanted(response)) {
                let back = match &response.back {
                    Back::Question => below(name.as_ref(), step.after.as_ref(), step.before.as_ref()),
                    Back::Suffix { from, to } => NameText::of(name.as_ref())
                        .as_str()
                        .strip_suffix(from.as_str())
                        .and_then(|kept| format!("{kept}{to}").parse().ok()),
                    Back::Pattern(pattern) => {
                        pattern.expand(NameText::of(name.as_ref()).as_str()).and_then(|made| made.parse().ok())
                    }
                };
                name = back.unwrap_or(name);
            }
        }
        // Spelled as asked (RFC 4343).
        if name.as_ref() == self.asked() { self.asked().to_name() } else { name }
    }

    /// A sink before `sink` that shows the asker its own names, in all sections.
    pub fn sink<'s>(&'s self, sink: &'s mut dyn Sink) -> impl Sink + 's {
        move |section: Section, record: &RecordRef<'_>| {
            let data = record.data.clone().map(|name| self.put_back_value(name));
            let record = Record { owner: self.put_back_owner(record.owner), ttl: record.ttl, data };
            sink.record(section, &record.as_ref());
        }
    }
}

/// What `name` is when `after`, which it is or lies below, becomes `before`.
fn below(name: NameRef<'_>, after: NameRef<'_>, before: NameRef<'_>) -> Option<Name> {
    let labels = name.labels().count().checked_sub(after.labels().count())?;
    let own = name.labels().take(labels).map(|label| label.0);
    let own = (name.skip(labels) == after).then(|| Name::from_labels(own))?.ok()?;
    own.below(before).ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::record::RecordData;

    fn rules(rules: &[&str]) -> Rules {
        rules.iter().map(|rule| rule.parse::<Rule>().unwrap()).collect()
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// What a name becomes, and what that is as owner and as value in the reply.
    fn there_and_back(rules: &Rules, asked: &str) -> Option<[String; 3]> {
        let asked = name(asked);
        let rewritten = rules.apply(asked.as_ref()).unwrap()?;
        let joined = JoinedName::from(rewritten.name());
        Some([
            joined.to_string(),
            rewritten.put_back_owner(joined).to_string(),
            rewritten.put_back_value(joined).to_string(),
        ])
    }

    #[test]
    fn each_kind_of_rule_renames_as_the_documents_say() {
        for (rule, asked, made) in [
            ("name a.example b.example", "A.Example", "b.example."),
            ("name exact a.example b.example", "x.a.example", ""),
            ("name prefix web app", "web.example", "app.example."),
            ("name prefix web app", "web-1.example", ""),
            ("name suffix .schmoogle.com .google.com", "WWW.schmoogle.com", "www.google.com."),
            (
                "name substring service.us-west-1.example.org service.us-west-1.consul",
                "ftp.service.us-west-1.example.org",
                "ftp.service.us-west-1.consul.",
            ),
            ("name substring a bb", "aXa.a.b", "axbb.bb.b."),
            (
                r"name regex (.*)-(us-west-1)\.example\.org {1}.service.{2}.consul",
                "ftp-us-west-1.example.org",
                "ftp.service.us-west-1.consul.",
            ),
            (r"name regex ^(a)(b)?\. {1}{3}.example", "a.x", "a{3}.example."),
        ] {
            let made = Some(made.to_owned()).filter(|made| !made.is_empty());
            let rules = rules(&[rule]);
            let asked = name(asked);
            let found = rules.apply(asked.as_ref()).unwrap().map(|found| found.name().to_string());
            assert_eq!(found, made, "{rule}");
        }
    }

    #[test]
    fn rules_stop_unless_they_continue() {
        let chain = ["name a.x b.x", "name b.x c.x"];
        assert_eq!(there_and_back(&rules(&chain), "a.x").unwrap()[0], "b.x.");
        let chain = ["continue name a.x b.x", "name z.x y.x", "name b.x c.x", "name c.x d.x"];
        let rules = rules(&chain);
        assert_eq!(there_and_back(&rules, "A.x").unwrap(), ["c.x.", "A.x.", "A.x."]);
        let asked = name("a.x");
        assert_eq!(rules.apply(asked.as_ref()).unwrap().unwrap().rules().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(there_and_back(&rules, "q.x"), None);
    }

    #[test]
    fn only_exact_rules_and_those_that_ask_for_it_put_names_back() {
        let back = |rule: &str, asked: &str| there_and_back(&rules(&[rule]), asked).unwrap();
        assert_eq!(back("name exact A.example b.example", "a.EXAMPLE")[1..], ["a.EXAMPLE.", "a.EXAMPLE."]);
        assert_eq!(back("name suffix .a. .b.", "X.a")[1..], ["x.b.", "x.b."]);
        assert_eq!(back("name suffix .a. .b. answer auto", "X.a")[1..], ["X.a.", "X.a."]);
        assert_eq!(back("name prefix a b answer auto", "A.y")[1..], ["A.y.", "A.y."]);
        assert_eq!(back("name substring a b answer auto", "Xa.y")[1..], ["Xa.y.", "Xa.y."]);
        let regex = r"name regex (.*)\.a\. {1}.b. answer name (.*)\.b\. {1}.a.";
        assert_eq!(back(regex, "x.a")[1..], ["x.a.", "x.b."]);
        let both = r"name regex (.*)\.a\. {1}.b. answer auto value (.*)\.b\. {1}.v.";
        // The explicit rule is undone first, so the other finds nothing of the question any more.
        assert_eq!(back(both, "x.a")[1..], ["x.a.", "x.v."]);
    }

    #[test]
    fn names_below_the_question_are_put_back_with_it() {
        let rules = rules(&["name shop.example web.shop.svc.cluster.local"]);
        let asked = name("Shop.example");
        let rewritten = rules.apply(asked.as_ref()).unwrap().unwrap();
        let mut lines = Vec::new();
        let mut sink = |_: Section, record: &RecordRef<'_>| lines.push(record.to_string());
        let (owner, target) = (name("web.shop.svc.cluster.local"), name("p-0.web.shop.svc.cluster.local"));
        let data = [
            RecordData::Srv { priority: 0, weight: 1, port: 2, target: (&target).into() },
            RecordData::Cname((&owner).into()),
            RecordData::A(Ipv4Addr::LOCALHOST),
        ];
        for data in data {
            rewritten.sink(&mut sink).record(Section::Answer, &Record { owner: (&owner).into(), ttl: 5, data });
        }
        assert_eq!(
            lines,
            [
                "Shop.example. 5 IN SRV 0 1 2 p-0.Shop.example.",
                "Shop.example. 5 IN CNAME Shop.example.",
                "Shop.example. 5 IN A 127.0.0.1"
            ]
        );
        let other = name("other.cluster.local");
        assert_eq!(rewritten.put_back_owner((&other).into()), other);
    }

    #[test]
    fn what_is_no_name_is_an_error_with_its_rule() {
        let long = format!("name suffix .a .{}", "b".repeat(64));
        let rules = rules(&["name x.y z", "name prefix p .", &long]);
        let illegal = |asked: &str| rules.apply(name(asked).as_ref()).unwrap_err();
        assert_eq!((illegal("p.q").rule, illegal("x.a").rule), (1, 2));
        assert_eq!(illegal("p.q").to_string(), "rule 1 makes `.q.` of the name, which is no name");
    }

    #[test]
    fn a_name_that_no_rule_takes_costs_no_allocation() {
        let rules = rules(&[
            "name a.x b",
            "name prefix p q",
            "name suffix .s .t",
            "name substring zz y",
            r"name regex ^x+\. n",
        ]);
        let name = name("cart.shop.svc.cluster.local");
        // The pattern's own scratch space is made once.
        assert!(rules.apply(name.as_ref()).unwrap().is_none());
        let cost = allocation_counter::measure(|| {
            std::hint::black_box(rules.apply(name.as_ref()).is_ok());
        });
        assert_eq!(cost.count_total, 0);
    }
}
