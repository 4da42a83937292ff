//! How long does a world of 1,000 Services take to load, and 10,000 mixed questions to answer?

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use svctrace::ask;
use svctrace::read::{Purpose, Reader};
use svctrace::world::World;

const SERVICES: usize = 1_000;
const QUESTIONS: usize = 10_000;

fn ip(net: u8, i: usize) -> String {
    format!("10.{net}.{}.{}", i / 200, i % 200 + 1)
}

/// Manifests as `kubectl get -o yaml` and repositories have them: a Service, a slice of two endpoints and a Pod each, and an
/// Ingress for every tenth.
fn manifests() -> String {
    let mut text = String::from(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCIDR: 10.244.0.0/16\n---\n\
         apiVersion: v1\nkind: Node\nmetadata:\n  name: n1\nstatus:\n  addresses:\n  - {type: InternalIP, address: 192.0.2.1}\n---\n\
         apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata:\n  name: nginx\nspec:\n  controller: k8s.io/ingress-nginx\n",
    );
    for i in 0..SERVICES {
        let (cluster_ip, one, two, pod) = (ip(96, i), ip(245, i), ip(246, i), ip(244, i));
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: svc{i}\n  namespace: ns{}\nspec:\n  clusterIP: {cluster_ip}\n  \
             selector:\n    app: svc{i}\n  ports:\n  - name: http\n    port: 80\n    targetPort: 8080\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: svc{i}-x\n  namespace: ns{}\n  labels:\n    \
             kubernetes.io/service-name: svc{i}\naddressType: IPv4\nports:\n- name: http\n  port: 8080\n  protocol: TCP\nendpoints:\n\
             - addresses: [{one}]\n  nodeName: n1\n- addresses: [{two}]\n  nodeName: n2\n\
             ---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: pod{i}\n  namespace: ns{}\nspec:\n  nodeName: n1\n  containers:\n  \
             - name: c\n    image: x\nstatus:\n  phase: Running\n  podIP: {pod}\n",
            i % 20,
            i % 20,
            i % 20,
        );
        if i % 10 == 0 {
            let _ = write!(
                text,
                "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: ing{i}\n  namespace: ns{}\nspec:\n  \
                 ingressClassName: nginx\n  rules:\n  - host: host{i}.example.com\n    http:\n      paths:\n      - path: /api\n        \
                 pathType: Prefix\n        backend: {{service: {{name: svc{i}, port: {{name: http}}}}}}\n",
                i % 20,
            );
        }
    }
    text
}

fn questions() -> Vec<String> {
    (0..QUESTIONS)
        .map(|n| {
            let i = n * 7 % SERVICES;
            let ns = i % 20;
            match n % 8 {
                0 => format!(r#"{{"kind":"connect","src":"10.244.0.9","dst":"{}:80"}}"#, ip(96, i)),
                1 => format!(r#"{{"kind":"connect","src":"203.0.113.9","dst":"{}:81"}}"#, ip(96, i)),
                2 => format!(r#"{{"kind":"dns","name":"svc{i}.ns{ns}.svc.cluster.local.","type":"A"}}"#),
                3 => format!(r#"{{"kind":"dns","name":"_http._tcp.svc{i}.ns{ns}.svc.cluster.local.","type":"SRV"}}"#),
                4 => format!(r#"{{"kind":"lookup","pod":"ns{ns}/pod{i}","name":"svc{i}.ns{ns}"}}"#),
                5 => format!(r#"{{"kind":"resolv","pod":"ns{ns}/pod{i}"}}"#),
                6 => format!(
                    r#"{{"kind":"http","url":"http://host{}.example.com/api/x","to":"IngressClass/nginx"}}"#,
                    i / 10 * 10
                ),
                _ => format!(r#"{{"kind":"env","pod":"ns{ns}/pod{i}"}}"#),
            }
        })
        .collect()
}

fn load(text: &str) -> World {
    let mut reader = Reader::new(Purpose::Answer);
    reader.text("world.yaml", text);
    World::new(reader.finish(), None)
}

fn batch(criterion: &mut Criterion) {
    let text = manifests();
    let questions = questions();
    let world = load(&text);
    assert!(questions.iter().all(|question| ask::answer_line(question.as_bytes(), &world).get("error").is_none()));
    criterion.bench_function("load 1,000 Services", |bencher| bencher.iter(|| load(black_box(&text))));
    criterion.bench_function("answer 10,000 questions", |bencher| {
        bencher.iter(|| {
            questions
                .iter()
                .map(|question| ask::answer_line(question.as_bytes(), &world).to_string().len())
                .sum::<usize>()
        });
    });
}

criterion_group!(benches, batch);
criterion_main!(benches);
