//! The fields of a form that was sent.

/// A form's fields in order; names can repeat.
pub(in crate::web) type Fields = Vec<(String, String)>;

/// The first value of a field.
pub(super) fn value<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

/// All values of a field.
pub(super) fn values<'a>(fields: &'a Fields, name: &str) -> impl Iterator<Item = &'a str> {
    fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
}
