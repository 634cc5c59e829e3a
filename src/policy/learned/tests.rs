//! What mails teach, and what is made of it.
