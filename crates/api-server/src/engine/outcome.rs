//! What a change is answered with.

/// Status and body.
#[derive(Debug)]
pub enum Outcome {
    /// 201 with this body.
    Created(Vec<u8>),
    /// 200 with this body.
    Done(Vec<u8>),
    /// 204.
    Gone,
}
