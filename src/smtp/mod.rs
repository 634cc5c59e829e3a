//! The SMTP protocol, sans I/O: bytes in, commands and content out; replies out. Knows nothing of ours.
