//! Typed nftables tables, chains, sets, maps; one atomic script.
