//! Which endpoints fail so often that they should be left alone for a while?

mod detector;
mod settings;
mod success_rate;

pub use detector::{Outcome, OutlierAction, OutlierCause, OutlierDetector, OutlierEvent};
pub use settings::OutlierSettings;
pub use success_rate::{SuccessRates, success_rates};
