//! With which flags does an ingress-nginx controller run? Read from the workload that runs it.

use svc_model::api::{Container, DaemonSet, Deployment, Pod, PodSpec, ReplicaSet, StatefulSet, WorkloadSpec};
use svc_model::{Cluster, NamespacedName, Object, ObjectRef, Resource};

/// The program whose arguments are read.
const PROGRAM: &str = "/nginx-ingress-controller";

/// The flags of an ingress controller that bear on its decisions. [`Default`] gives those of a controller started
/// without any.
///
/// Controllers other than ingress-nginx have no flags that are known here, and keep the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControllerFlags {
    /// `--ingress-class`: the value of the annotation `kubernetes.io/ingress.class` that is served.
    pub ingress_class: Box<str>,
    /// `--controller-class`: the `spec.controller` of the IngressClasses that are served.
    pub controller_class: Box<str>,
    /// `--watch-ingress-without-class`: Ingresses without any class are served too.
    pub watch_ingress_without_class: bool,
    /// `--ingress-class-by-name`: the IngressClass named [`ingress_class`](Self::ingress_class) is served whatever its
    /// `spec.controller`.
    pub ingress_class_by_name: bool,
    /// `--default-backend-service`: takes what no rule takes.
    pub default_backend_service: Option<NamespacedName>,
    /// `--default-ssl-certificate`: the Secret with the certificate for hosts that have none.
    pub default_ssl_certificate: Option<NamespacedName>,
    /// `--configmap`: the ConfigMap with the controller's settings.
    pub configmap: Option<NamespacedName>,
    /// `--tcp-services-configmap`: the ConfigMap with the TCP ports that lead to Services.
    pub tcp_services_configmap: Option<NamespacedName>,
    /// `--udp-services-configmap`: the same for UDP.
    pub udp_services_configmap: Option<NamespacedName>,
    /// `--annotations-prefix`: what stands before the `/` of the controller's annotations.
    pub annotations_prefix: Box<str>,
    /// `--enable-ssl-passthrough`: the annotation `ssl-passthrough` has an effect.
    pub enable_ssl_passthrough: bool,
    /// `--disable-catch-all`: Ingresses with a default backend are not served.
    pub disable_catch_all: bool,
    /// `--http-port`.
    pub http_port: u16,
    /// `--https-port`.
    pub https_port: u16,
}

impl Default for ControllerFlags {
    fn default() -> Self {
        Self {
            ingress_class: "nginx".into(),
            controller_class: "k8s.io/ingress-nginx".into(),
            watch_ingress_without_class: false,
            ingress_class_by_name: false,
            default_backend_service: None,
            default_ssl_certificate: None,
            configmap: None,
            tcp_services_configmap: None,
            udp_services_configmap: None,
            annotations_prefix: "nginx.ingress.kubernetes.io".into(),
            enable_ssl_passthrough: false,
            disable_catch_all: false,
            http_port: 80,
            https_port: 443,
        }
    }
}

impl ControllerFlags {
    /// The flags of the ingress-nginx controller that a Pod runs; `None` for a Pod that runs none.
    pub fn of_pod(pod: &Pod) -> Option<Self> {
        of_template(&pod.metadata.name, pod.namespace(), &pod.spec).next()
    }
}

/// The flags of every ingress-nginx controller that a workload of the cluster runs, and the workload, in the order of kind,
/// namespace and name.
pub(super) fn controllers(cluster: &Cluster) -> impl Iterator<Item = (ObjectRef, ControllerFlags)> {
    fn template<'c, T: Resource>(
        object: &'c T,
        spec: &'c WorkloadSpec,
    ) -> impl Iterator<Item = (ObjectRef, ControllerFlags)> + 'c {
        let flags = of_template(object.name(), object.namespace(), &spec.template.spec);
        flags.map(|flags| (object.reference(), flags))
    }
    (cluster.list::<Deployment>().flat_map(|w| template(w, &w.spec)))
        .chain(cluster.list::<DaemonSet>().flat_map(|w| template(w, &w.spec)))
        .chain(cluster.list::<StatefulSet>().flat_map(|w| template(w, &w.spec)))
        .chain(cluster.list::<ReplicaSet>().flat_map(|w| template(w, &w.spec)))
        .chain(cluster.list::<Pod>().flat_map(|pod| {
            let flags = of_template(pod.name(), pod.namespace(), &pod.spec);
            flags.map(|flags| (pod.reference(), flags))
        }))
}

/// Whether an object runs an ingress-nginx controller, so that its arguments are the controller's flags.
pub(super) fn is_controller(object: &Object) -> bool {
    let spec = match object {
        Object::Deployment(workload) => &workload.spec.template.spec,
        Object::DaemonSet(workload) => &workload.spec.template.spec,
        Object::StatefulSet(workload) => &workload.spec.template.spec,
        Object::ReplicaSet(workload) => &workload.spec.template.spec,
        Object::Pod(pod) => &pod.spec,
        _ => return false,
    };
    spec.containers.iter().any(runs_controller)
}

fn of_template<'c>(name: &'c str, namespace: &'c str, spec: &'c PodSpec) -> impl Iterator<Item = ControllerFlags> + 'c {
    spec.containers.iter().filter(|container| runs_controller(container)).map(move |container| {
        let words = container.command.iter().chain(&container.args);
        let words: Vec<_> = words.map(|word| expand(word, container, name, namespace)).collect();
        read(&words)
    })
}

fn runs_controller(container: &Container) -> bool {
    // The program may stand in the middle of a shell line.
    container.command.iter().chain(&container.args).any(|word| word.contains(PROGRAM))
}

/// Replaces `$(VAR)` by the container's variable of that name, as the kubelet does; an unknown one stays, and `$$` is
/// a dollar sign.
fn expand(text: &str, container: &Container, name: &str, namespace: &str) -> String {
    let variable = |key: &str| {
        let variable = container.env.iter().rev().find(|variable| variable.name == key)?;
        match variable.value_from.as_ref().and_then(|source| source.field_ref.as_ref()) {
            None => Some(variable.value.as_str()),
            Some(field) if field.field_path == "metadata.namespace" => Some(namespace),
            Some(field) if field.field_path == "metadata.name" => Some(name),
            Some(_) => None,
        }
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let reference = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        match reference.and_then(|(key, tail)| Some((variable(key)?, tail))) {
            Some((value, tail)) => {
                out.push_str(value);
                rest = tail;
            }
            None => {
                out.push('$');
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
    }
    out.push_str(rest);
    out
}

/// Reads `--flag=value`, `--flag value` and bare boolean flags; of a repeated flag the last counts, what cannot be read
/// leaves the default.
fn read(words: &[String]) -> ControllerFlags {
    let mut flags = ControllerFlags::default();
    // A shell line is split at blanks; the flags read here never hold any.
    let words: Vec<&str> = words.iter().flat_map(|word| word.split_ascii_whitespace()).collect();
    for (i, word) in words.iter().enumerate() {
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        // Only a flag that takes a value has it in the next word; a boolean one never does.
        let text = || value.or_else(|| words.get(i + 1).copied()).unwrap_or_default();
        let boolean = |default| value.map_or(Some(true), parse_bool).unwrap_or(default);
        match name {
            "ingress-class" if !text().is_empty() => flags.ingress_class = text().into(),
            "controller-class" if !text().is_empty() => flags.controller_class = text().into(),
            "annotations-prefix" if !text().is_empty() => flags.annotations_prefix = text().into(),
            "watch-ingress-without-class" => flags.watch_ingress_without_class = boolean(false),
            "ingress-class-by-name" => flags.ingress_class_by_name = boolean(false),
            "enable-ssl-passthrough" => flags.enable_ssl_passthrough = boolean(false),
            "disable-catch-all" => flags.disable_catch_all = boolean(false),
            "default-backend-service" => flags.default_backend_service = namespaced(text()),
            "default-ssl-certificate" => flags.default_ssl_certificate = namespaced(text()),
            "configmap" => flags.configmap = namespaced(text()),
            "tcp-services-configmap" => flags.tcp_services_configmap = namespaced(text()),
            "udp-services-configmap" => flags.udp_services_configmap = namespaced(text()),
            "http-port" => flags.http_port = text().parse().unwrap_or(flags.http_port),
            "https-port" => flags.https_port = text().parse().unwrap_or(flags.https_port),
            _ => {}
        }
    }
    flags
}

fn namespaced(text: &str) -> Option<NamespacedName> {
    text.parse().ok().filter(|name: &NamespacedName| !name.namespace.is_empty())
}

/// A boolean as Go's `strconv.ParseBool` reads it, which is how flags and annotations of ingress-nginx are read.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use svc_model::api::{EnvVar, EnvVarSource, ObjectFieldSelector};

    fn pod(args: &[&str]) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = "controller-0".into();
        pod.metadata.namespace = "edge".into();
        let field_ref = Some(ObjectFieldSelector { field_path: "metadata.namespace".into() });
        let env = EnvVar { name: "NS".into(), value_from: Some(EnvVarSource { field_ref }), ..Default::default() };
        let args = args.iter().map(ToString::to_string).collect();
        pod.spec.containers.push(Container { args, env: vec![env], ..Default::default() });
        pod
    }

    fn read_pod(args: &[&str]) -> Vec<ControllerFlags> {
        let mut cluster = Cluster::new();
        cluster.apply(pod(args));
        controllers(&cluster).map(|(_, flags)| flags).collect()
    }

    #[test]
    fn flags_are_read_in_both_spellings_and_variables_expanded() {
        let flags = &read_pod(&[
            "/nginx-ingress-controller",
            "--default-backend-service=$(NS)/default-http-backend",
            "--default-ssl-certificate",
            "$(NS)/wild",
            "--watch-ingress-without-class",
            "--enable-ssl-passthrough=false",
            "--http-port=8080",
            "--https-port=none",
        ])[0];
        assert_eq!(flags.default_backend_service, Some(NamespacedName::new("edge", "default-http-backend")));
        assert_eq!(flags.default_ssl_certificate, Some(NamespacedName::new("edge", "wild")));
        assert!(flags.watch_ingress_without_class && !flags.enable_ssl_passthrough);
        assert_eq!((flags.http_port, flags.https_port), (8080, 443));
    }

    #[test]
    fn only_the_controller_program_has_flags() {
        assert_eq!(read_pod(&["/server", "--ingress-class=x"]), []);
        assert_eq!(&*read_pod(&["exec /nginx-ingress-controller --ingress-class=x"])[0].ingress_class, "x");
    }

    #[test]
    fn unknown_variables_and_dollars_stay() {
        let container = Container::default();
        assert_eq!(expand("$(X)/a$$b$", &container, "", ""), "$(X)/a$b$");
    }
}
