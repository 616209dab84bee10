//! One declaration per resource: attributes, validation, filters, policy names.
