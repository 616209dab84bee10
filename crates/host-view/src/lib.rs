//! What one host must realise, as one value: the contract of server and agent.
