//! The way in: sockets, sessions, limits; a [`Submission`](crate::intake::Submission) out.
