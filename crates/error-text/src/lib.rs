//! An error as one sentence.
//!
//! **In:** an error with its causes. **Out:** the text for a log line, an answer or the last line of a command.
//! **May not:** know which errors there are, or add a word of its own.

use std::error::Error;

/// What the error says, and after a colon what each of its causes says.
#[must_use]
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::{Display, Formatter};

    #[derive(Debug)]
    struct Said(&'static str, Option<Box<Said>>);

    impl Display for Said {
        fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Said {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn causes_follow_in_their_order() {
        let error = Said("cannot start", Some(Box::new(Said("no socket", Some(Box::new(Said("in use", None)))))));
        assert_eq!(sentence(&error), "cannot start: no socket: in use");
        assert_eq!(sentence(&Said("alone", None)), "alone");
    }
}
