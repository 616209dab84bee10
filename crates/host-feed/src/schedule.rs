use crate::hub::Hub;
use crate::row::RowChange;
use std::sync::Arc;
pub fn concerns(_: &RowChange) -> bool {
    true
}
pub async fn run(_hub: Arc<Hub>) {}
