//! Switches off a device's offloads: without them the sender computes checksums and cuts segments itself, as the userspace
//! datapath needs (it hands frames on as they are). What `ethtool -K DEVICE tx off tso off gso off gro off` does.

use crate::{DriverError, Place};
use nix::libc;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

// From the kernel's include/uapi/linux/ethtool.h.
const ETHTOOL_GTXCSUM: u32 = 0x16;
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_STSO: u32 = 0x1f;
const ETHTOOL_SGSO: u32 = 0x24;
const ETHTOOL_SGRO: u32 = 0x2c;
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// Switches them off; fine when they are.
pub async fn disable(place: &Place, device: &str) -> Result<(), DriverError> {
    let name = device.to_owned();
    let done = place.run(move || disable_here(&name)).await?;
    done.map_err(|source| DriverError::Offload { device: device.to_owned(), source })
}

/// Whether the device says that it computes the checksums of what is sent through it, so that the kernel does not.
pub async fn computes_checksums(place: &Place, device: &str) -> Result<bool, DriverError> {
    let name = device.to_owned();
    let read = place.run(move || {
        let socket: OwnedFd = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?.into();
        ask(&socket, &name, EthtoolValue { command: ETHTOOL_GTXCSUM, data: 0 })
    });
    match read.await? {
        Ok(data) => Ok(data != 0),
        Err(source) => Err(DriverError::Offload { device: device.to_owned(), source }),
    }
}

fn disable_here(device: &str) -> io::Result<()> {
    let socket: OwnedFd = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?.into();
    // Segmentation first: it depends on checksums.
    [ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_STXCSUM]
        .into_iter()
        .try_for_each(|command| ask(&socket, device, EthtoolValue { command, data: 0 }).map(drop))
}

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// One request; the value as it is afterwards.
#[allow(unsafe_code)]
fn ask(socket: &OwnedFd, device: &str, mut value: EthtoolValue) -> io::Result<u32> {
    // SAFETY: an all-zero ifreq is a valid one: numbers and a null pointer.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if device.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the request and the value that it points to live until the call returns, and the name is zero-terminated.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
    if result == 0 { Ok(value.data) } else { Err(io::Error::last_os_error()) }
}
