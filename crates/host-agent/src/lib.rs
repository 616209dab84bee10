//! Reconcile loops: watch -> plan -> diff -> apply -> report.
