//! Roles x actions x attributes.
