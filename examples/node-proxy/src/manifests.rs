//! What do the manifests say now?

use std::collections::BTreeSet;
use std::path::PathBuf;

use svc_model::{Cluster, ObjectRef, Touched};
use svctrace::read::{Input, Purpose, read};

/// The objects of manifests, completed.
///
/// # Errors
/// A line for each input that cannot be read.
pub(crate) fn cluster(paths: &[PathBuf]) -> Result<Cluster, String> {
    let inputs: Vec<Input> = paths.iter().cloned().map(Input::Path).collect();
    let world = read(&inputs, Purpose::Answer);
    if world.unreadable {
        let failures: Vec<String> = world.failures.iter().map(ToString::to_string).collect();
        return Err(failures.join("\n"));
    }
    let mut cluster: Cluster = world.objects.into_iter().map(|(object, _)| object).collect();
    svc_model::complete(&mut cluster);
    Ok(cluster)
}

/// Makes one cluster hold what another holds; what that touches.
pub(crate) fn make_equal(cluster: &mut Cluster, wanted: &Cluster) -> Touched {
    let mut touched = Touched::default();
    let kept: BTreeSet<ObjectRef> = wanted.objects().map(|object| object.reference()).collect();
    let gone: Vec<ObjectRef> =
        cluster.objects().map(|object| object.reference()).filter(|reference| !kept.contains(reference)).collect();
    gone.iter().for_each(|reference| touched.extend(cluster.remove(reference).touched));
    wanted.objects().for_each(|object| touched.extend(cluster.apply(object.clone()).touched));
    touched
}
