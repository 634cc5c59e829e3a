//! The courier against a store in memory and a scripted upstream.
