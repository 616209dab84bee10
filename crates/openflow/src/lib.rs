//! OpenFlow 1.4 with Nicira extensions: matches, actions, bundles; sans-I/O.
