//! GitHub's API, as every program asks it: one request at a time, with a token that shows in no log, no address and no
//! redirect, and a failure that says whether and when another try may help.
//!
//! What is asked, and how often, is for those who ask: nothing here knows a pull request, a page or a budget.

mod client;
mod credentials;
mod jwt;
mod refusal;
mod tries;

pub use client::{Answer, Client, Request, Target, api_url};
pub use credentials::{Credentials, SECRETS};
pub use refusal::{Again, Failure, Kind, date, wait};
pub use tries::Tries;
