//! HostViews from the store: watch streams, readiness, scheduling, liveness.
