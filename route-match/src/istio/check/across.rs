//! x
pub(super) fn check(_: &svc_model::Cluster) -> Vec<svc_model::check::Finding> {
    Vec::new()
}
