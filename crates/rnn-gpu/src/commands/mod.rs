//! The commands, one file each: their arguments, and what they do.

pub mod bench;
mod columns;
pub mod compare;
pub mod devices;
pub mod evaluate;
pub mod export;
pub mod import;
pub mod new;
pub mod predict;
mod reviews;
pub mod rollout;
pub mod summary;
pub mod train;
pub mod verify;
