//! What do the manifests say now? They are looked at every so often, and read again when they have changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use dns_records::kubernetes::{Server, ServerOptions};
use svc_model::check::Level;
use svc_model::{Cluster, Object, ObjectRef, Touched};
use svctrace::read::{self, Input, Purpose};

use crate::server::Shared;

/// The manifests, and what the cluster's DNS answers by them.
#[derive(Debug)]
pub(crate) struct Manifests {
    inputs: Vec<Input>,
    cluster: Cluster,
    server: Option<Server>,
    hash_seed: u64,
    /// The files as they were read last, and as they were seen last.
    read: Option<Files>,
    seen: Option<Files>,
}

/// What tells one state of the files from another: path, and of those that are there time, length and number.
type Files = Vec<(PathBuf, Option<(SystemTime, u64, u64)>)>;

/// What a look at the files came to.
#[derive(Debug)]
pub(crate) enum News {
    /// Other objects; whether any answer may differ.
    Changed { objects: usize, changes: usize, server: Option<Arc<Server>> },
    /// Nothing that can be taken: what was there before holds. A line for each fault.
    Broken(Vec<String>),
}

impl Manifests {
    pub(crate) fn new(paths: &[PathBuf], hash_seed: u64) -> Self {
        let inputs = paths.iter().cloned().map(Input::Path).collect();
        Self { inputs, cluster: Cluster::new(), server: None, hash_seed, read: None, seen: None }
    }

    /// Looks at the files, and reads them if they have changed and nobody is writing any more: a file that is being written is
    /// half a file. So they have to be as they were at the look before, and the same when they have been read.
    pub(crate) fn look(&mut self, now: SystemTime) -> Option<News> {
        let files = self.files();
        let settled = self.read.is_none() || self.seen.as_ref() == Some(&files);
        let changed = self.read.as_ref() != Some(&files);
        self.seen = Some(files.clone());
        if !settled || !changed {
            return None;
        }
        let world = read::read(&self.inputs, Purpose::Answer);
        if self.files() != files {
            return None;
        }
        self.read = Some(files);
        Some(self.take(world, now))
    }

    fn files(&self) -> Files {
        let files = self.inputs.iter().flat_map(|input| input.files().unwrap_or_default());
        let state = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        };
        files.map(|path| (path.clone(), state(&path))).collect()
    }

    fn take(&mut self, read: read::World, now: SystemTime) -> News {
        let mut faults: Vec<String> = read.failures.iter().map(ToString::to_string).collect();
        for finding in read.findings.iter().filter(|finding| finding.level == Level::Error) {
            let place = read.place(finding).map(|place| format!("{place}: ")).unwrap_or_default();
            faults.push(format!("{place}{}", finding.finding));
        }
        // At the start there is nothing to go on with: then what can be read is better than nothing.
        if read.unreadable || !faults.is_empty() && self.server.is_some() {
            return News::Broken(faults);
        }
        let mut cluster: Cluster = read.objects.into_iter().map(|(object, _)| object).collect();
        svc_model::complete(&mut cluster);
        let objects = cluster.objects().count();
        let (changes, touched) = make_equal(&mut self.cluster, &cluster);
        News::Changed { objects, changes, server: self.update(&touched, now).map(Arc::new) }
    }

    /// The server as it is now, if any answer may differ.
    fn update(&mut self, touched: &Touched, now: SystemTime) -> Option<Server> {
        let last = match &mut self.server {
            Some(server) => {
                let last = server.zone().settings().serial;
                if !server.update(&self.cluster, touched) {
                    return None;
                }
                Some(last)
            }
            None => None,
        };
        let server = self.server.get_or_insert_with(|| {
            let mut options = ServerOptions::default();
            options.hash_seed = self.hash_seed;
            Server::new(&self.cluster, options)
        });
        server.set_serial(serial(now, last));
        Some(server.clone())
    }
}

/// The serial is the time of the last change (CoreDNS does so), and one more where two fall on one second.
fn serial(now: SystemTime, last: Option<u32>) -> u32 {
    // The sequence of serials is a circle (RFC 1982), so that the upper half of a longer time may go.
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as u32;
    match last {
        Some(last) if now.wrapping_sub(last) as i32 <= 0 => last.wrapping_add(1),
        _ => now,
    }
}

/// Makes the objects of a cluster those of another, and says how many changes that took, and whose answers they touch.
fn make_equal(cluster: &mut Cluster, wanted: &Cluster) -> (usize, Touched) {
    let gone = cluster.objects().map(Object::reference).filter(|reference| wanted.object(reference).is_none());
    let gone: Vec<ObjectRef> = gone.collect();
    let new = wanted.objects().filter(|object| cluster.object(&object.reference()) != Some(object));
    let new: Vec<Object> = new.cloned().collect();
    let count = gone.len() + new.len();
    let mut touched = Touched::default();
    for reference in gone {
        touched.extend(cluster.remove(&reference).touched);
    }
    for object in new {
        touched.extend(cluster.apply(object).touched);
    }
    (count, touched)
}

/// Follows the manifests until the server stops, and says on standard error what came of it.
pub(crate) fn follow(mut manifests: Manifests, shared: Arc<Shared>) {
    while !shared.is_stopping() {
        match manifests.look(SystemTime::now()) {
            Some(News::Changed { objects, changes, server: Some(server) }) => {
                let serial = server.zone().settings().serial;
                shared.cluster.store(Some(server));
                eprintln!("{objects} objects, {changes} changes, serial {serial}");
            }
            Some(News::Changed { objects, changes, server: None }) => {
                eprintln!("{objects} objects, {changes} changes, no answer differs");
            }
            Some(News::Broken(faults)) => {
                let held =
                    if manifests.server.is_some() { "answers stay as they were" } else { "there are no answers yet" };
                faults.iter().for_each(|fault| eprintln!("{fault}"));
                eprintln!("the manifests cannot be taken; {held}");
            }
            None => {}
        }
        thread::park_timeout(shared.settings.poll);
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_serial_is_the_time_but_never_goes_back() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(serial(at(1_700_000_000), None), 1_700_000_000);
        assert_eq!(serial(at(1_700_000_000), Some(5)), 1_700_000_000);
        assert_eq!(serial(at(1_700_000_000), Some(1_700_000_000)), 1_700_000_001);
        assert_eq!(serial(at(1_700_000_000), Some(1_700_000_009)), 1_700_000_010);
        assert_eq!(serial(at(5), Some(u32::MAX)), 5);
    }

    #[test]
    fn a_file_is_read_when_nobody_writes_it_any_more() {
        let path = env::temp_dir().join(format!("dns-server-manifests-{}.yaml", std::process::id()));
        let write = |names: &[&str]| {
            let service = |name| format!("---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}}}\n");
            fs::write(&path, names.iter().map(service).collect::<String>()).unwrap();
        };
        let mut manifests = Manifests::new(std::slice::from_ref(&path), 0);
        let mut look = || match manifests.look(UNIX_EPOCH) {
            None => None,
            Some(News::Changed { objects, changes, .. }) => Some((objects, changes)),
            Some(News::Broken(faults)) => panic!("{faults:?}"),
        };
        write(&["a"]);
        assert_eq!(look(), Some((1, 1)), "at the start at once");
        assert_eq!(look(), None);
        write(&["a", "b"]);
        assert_eq!(look(), None, "may be half a file");
        write(&["a", "b", "c"]);
        assert_eq!(look(), None);
        assert_eq!(look(), Some((3, 2)));
        assert_eq!(look(), None);
        fs::remove_file(&path).unwrap();
    }
}
