//! What does the server's own walk of the search list (CoreDNS's `autopath @kubernetes`) make of a question?

use std::net::IpAddr;

use super::zone::Zone;
use crate::name::{Name, NameRef};
use crate::search::Heard;

impl Zone {
    /// What comes of a candidate for a client, with the search list walked on the server if the settings, the client and
    /// the name allow: a name below the first search path of a live Pod's namespace is tried below the other paths of the
    /// cluster, then as it is, and the first that exists counts.
    pub(super) fn heard(&self, candidate: &Name, client: Option<IpAddr>) -> Heard {
        let plain = self.heard_plainly(candidate.as_ref());
        let bare = (plain == Heard::NoName).then(|| self.below_first_path(candidate.as_ref(), client)).flatten();
        let Some((base, zone)) = bare else { return plain };
        for path in ["svc", ""] {
            let Ok(name) = join(&base, path, zone) else { continue };
            match self.heard_plainly(name.as_ref()) {
                Heard::NoName => {}
                heard => return heard,
            }
        }
        match self.heard_plainly(base.as_ref()) {
            // The forwarder answers, and the client sees that as the answer to its question.
            Heard::Unknown => Heard::Settled,
            heard => heard,
        }
    }

    /// The name without the first search path, and the zone at the end of that path.
    fn below_first_path<'a>(&self, name: NameRef<'a>, client: Option<IpAddr>) -> Option<(Name, NameRef<'a>)> {
        let namespace = self.live_pod_namespace(client?)?;
        let origin = self.origins.iter().find(|origin| name.is_within(origin.name.as_ref()))?;
        let labels: Vec<_> = name.labels().collect();
        let base = labels.len().checked_sub(origin.labels + 2).filter(|base| *base > 0)?;
        (labels[base].is(namespace) && labels[base + 1].is("svc")).then_some(())?;
        let bare = Name::from_labels(labels[..base].iter().map(|label| label.0)).ok()?;
        Some((bare, name.skip(base + 2)))
    }
}

fn join(base: &Name, path: &str, zone: NameRef<'_>) -> Result<Name, crate::name::NameError> {
    match path {
        "" => base.below(zone),
        _ => base.below(path.parse::<Name>()?.below(zone)?.as_ref()),
    }
}
