//! A connection to Open vSwitch's database that outlives the server: being written, see the head of this file shortly.
