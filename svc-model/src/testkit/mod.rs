//! Does a back end do what the view says, whatever happens? Generated clusters, changes, packets and faults, and the laws.
//!
//! A driver author needs a [`Subject`]: the back end, and a way to ask what it does with a packet (an interpreter of its
//! rules, or real traffic). Then:
//!
//! ```
//! use svc_model::Packet;
//! use svc_model::backend::ReferenceBackend;
//! use svc_model::testkit::{Conformance, Distribution, Subject};
//!
//! #[derive(Default)]
//! struct Mine(ReferenceBackend); // your back end
//!
//! impl Subject for Mine {
//!     type Backend = ReferenceBackend;
//!     fn backend(&mut self) -> &mut ReferenceBackend {
//!         &mut self.0
//!     }
//!     fn ask(&mut self, packet: &Packet) -> Distribution {
//!         let met = self.0.ask(packet); // your interpreter, or a connection
//!         Distribution::even(met.verdict, met.endpoints.iter().map(|(candidate, masquerade)| (candidate.addr, *masquerade)))
//!     }
//! }
//!
//! let coverage = Conformance::default().sequences(16).check(Mine::default)?;
//! assert!(coverage.packets > 100);
//! # Ok::<(), Box<svc_model::testkit::Broken>>(())
//! ```
//!
//! A law that does not hold is a [`Broken`]: which one, where, and the smallest world and changes that show it, as manifests.
//!
//! # The laws
//!
//! | | law | checked |
//! | --- | --- | --- |
//! | 1 | every packet meets what [`decide`](crate::NodeView::decide) says | after each change, at packets on every boundary |
//! | 2 | a sequence of differences ends where one full plan would | by the artifact, at the end |
//! | 3 | the order in which objects came does not show | by the artifact, at the end |
//! | 4 | a plan that is in place changes nothing | after each change |
//! | 5 | what belongs to others survives | after each step, if the subject [plants](Subject::plant) something |
//! | 6 | on the way from plan to plan no packet goes to a wrong endpoint | after each fault |
//! | 7 | after any fault, the next plans heal | faults that the subject can [inject](Subject::inject) |
//! | 8 | a client keeps its endpoint while that is a candidate | if the subject can [connect](Subject::connect) |
//! | 9 | no flow leads to an endpoint that does not serve any more | if the subject [shows](Subject::flows) flows |
//! | 10 | what is removed leaves nothing behind | by the artifact, at the end |
//!
//! # Costs
//!
//! A sequence is a world of some ten objects and a handful of changes; in memory, a thousand take seconds. The strategies are there
//! for your own properties, too: [`scenarios`], [`objects`], [`edits`], and [`packets`] for a view.
//!
//! Nothing here draws from the machine: the seed is a setting. (`proptest` itself reads its `PROPTEST_*` variables.)

mod conformance;
mod distribution;
mod laws;
mod packets;
mod reference;
mod scenario;
mod strategies;

pub use conformance::Conformance;
pub use distribution::{Distribution, Outcome};
pub use laws::{Broken, Coverage, Fault, Law, Subject};
pub use packets::packets;
pub use reference::ReferenceSubject;
pub use scenario::{Edit, Scenario};
pub use strategies::{NODE, edits, objects, scenarios};
