//! Tests of the whole selection; those of a single part are beside it.

mod allocation;
mod concurrency;
mod contract;
mod eligibility;
mod explanation;
mod fixture;
mod health;
mod recovery;
mod simulation;
mod stickiness;
