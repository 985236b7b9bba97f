//! The dashboard in a real browser: Chromium without a screen, driven over the `WebDriver` protocol.

mod acting;
mod driver;
mod following;
mod looks;
mod page;
mod scaling;
mod token;
