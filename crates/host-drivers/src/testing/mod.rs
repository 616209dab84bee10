//! Support for tests that need the real thing: an Open vSwitch of its own in a network namespace of its own.
//!
//! ```toml
//! [dev-dependencies]
//! host-drivers = { workspace = true, features = ["testing"] }
//! ```
//! ```no_run
//! use host_drivers::testing::PrivateSwitch;
//! # fn test() -> Result<(), host_drivers::DriverError> {
//! let switch = PrivateSwitch::start()?;                       // ovsdb-server and ovs-vswitchd run, the database is empty
//! switch.vsctl(&["add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail_mode=secure"])?;
//! switch.wait_for_bridge("br-int")?;                          // its `.mgmt` socket is there
//! switch.ofctl(&["dump-flows", "br-int"])?;                   // text, as ovs-ofctl prints it
//! switch.appctl(&["ofproto/trace", "br-int", "in_port=1"])?;  // text, as ovs-appctl prints it
//! switch.run(&["ip", "link", "show"])?;                       // any command in the switch's network namespace
//! let instance = switch.extra_namespace()?;                   // a further namespace, gone with the switch
//! # Ok(()) }
//! ```
//! For drivers: [`PrivateSwitch::place`], [`PrivateSwitch::rundir`], [`PrivateSwitch::db_socket`],
//! [`PrivateSwitch::mgmt_socket`], [`PrivateSwitch::ctl_socket`]. For faults: [`PrivateSwitch::kill_vswitchd`],
//! [`PrivateSwitch::start_vswitchd`], [`PrivateSwitch::restart_vswitchd`], [`PrivateSwitch::restart_ovsdb_server`].
//!
//! [`FakeDatabase`] is an OVSDB server in memory, for tests without a switch;
//! [`in_a_host_of_its_own`] runs code in namespaces of its own, for tests of what needs only the kernel.
//!
//! Needs root and the userspace datapath; names are unique, so that tests may run side by side. Everything goes when the
//! value is dropped; if the test is killed, its processes die with it and the next switch removes its namespaces.

mod fake_database;
mod host;
mod sockets;

pub use fake_database::FakeDatabase;
pub use host::in_a_host_of_its_own;
pub use sockets::with_room_for_bursts;

use crate::{DriverError, Place, netns};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const PREFIX: &str = "nt-test-";
/// How long a daemon may take to be ready, far beyond what the slowest machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Open vSwitch that nobody else sees.
#[derive(Debug)]
pub struct PrivateSwitch {
    namespace: String,
    extra: Mutex<Vec<String>>,
    folder: PathBuf,
    keeper: Keeper,
    ovsdb_server: Option<Child>,
    vswitchd: Option<Child>,
}

impl PrivateSwitch {
    /// Makes the namespace (loopback up) and starts both daemons; returns when both answer.
    pub fn start() -> Result<Self, DriverError> {
        sweep();
        let namespace = unique();
        netns::create(&namespace)?;
        let folder = std::env::temp_dir().join(&namespace);
        // Whatever fails from here on, Drop cleans up.
        let keeper = Keeper::start(Place::named(&namespace))?;
        let mut switch =
            Self { namespace, extra: Mutex::default(), folder, keeper, ovsdb_server: None, vswitchd: None };
        std::fs::create_dir_all(&switch.folder).map_err(|error| failed("mkdir", error))?;
        switch.run(&["ip", "link", "set", "lo", "up"])?;
        let database = switch.folder.join("conf.db").display().to_string();
        switch.run(&["ovsdb-tool", "create", &database, SCHEMA])?;
        switch.start_ovsdb_server()?;
        switch.vsctl(&["--no-wait", "init"])?;
        switch.start_vswitchd()?;
        Ok(switch)
    }

    /// The namespace that its devices are in.
    pub fn place(&self) -> Place {
        Place::named(&self.namespace)
    }

    /// The name of that namespace in `/run/netns`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The folder that stands for `/run/openvswitch`.
    pub fn rundir(&self) -> &Path {
        &self.folder
    }

    /// Where ovsdb-server listens.
    pub fn db_socket(&self) -> PathBuf {
        self.folder.join("db.sock")
    }

    /// Where ovs-vswitchd takes OpenFlow for a bridge.
    pub fn mgmt_socket(&self, bridge: &str) -> PathBuf {
        self.folder.join(format!("{bridge}.mgmt"))
    }

    /// Where ovs-vswitchd takes the commands of ovs-appctl.
    pub fn ctl_socket(&self) -> PathBuf {
        self.folder.join("vswitchd.ctl")
    }

    /// `ovs-vsctl` against this database; what it printed.
    pub fn vsctl(&self, arguments: &[&str]) -> Result<String, DriverError> {
        let database = format!("--db=unix:{}", self.db_socket().display());
        self.run(&[&["ovs-vsctl", &database, "-t", "60"], arguments].concat())
    }

    /// `ovs-ofctl` with OpenFlow 1.3 to 1.5 against this switch; what it printed.
    pub fn ofctl(&self, arguments: &[&str]) -> Result<String, DriverError> {
        self.run(&[&["ovs-ofctl", "-O", "OpenFlow13,OpenFlow14,OpenFlow15"], arguments].concat())
    }

    /// `ovs-ofctl` with text on its standard input (for `replace-flows BRIDGE -`); what it printed.
    pub fn ofctl_with(&self, arguments: &[&str], input: &str) -> Result<String, DriverError> {
        let argv = [&["ovs-ofctl", "-O", "OpenFlow13,OpenFlow14,OpenFlow15"], arguments].concat();
        self.run_with(&argv, input)
    }

    /// `ovs-appctl` against this ovs-vswitchd; what it printed.
    pub fn appctl(&self, arguments: &[&str]) -> Result<String, DriverError> {
        let target = self.ctl_socket().display().to_string();
        self.run(&[&["ovs-appctl", "-t", &target], arguments].concat())
    }

    /// Any command in the switch's namespace; what it printed, or what it complained of.
    pub fn run(&self, argv: &[&str]) -> Result<String, DriverError> {
        self.run_with(argv, "")
    }

    /// As [`PrivateSwitch::run`], with text on standard input.
    pub fn run_with(&self, argv: &[&str], input: &str) -> Result<String, DriverError> {
        run_in(&self.place(), &self.folder, argv, input)
    }

    /// Any command in a namespace that [`PrivateSwitch::extra_namespace`] made.
    pub fn run_at(&self, namespace: &str, argv: &[&str]) -> Result<String, DriverError> {
        run_in(&Place::named(namespace), &self.folder, argv, "")
    }

    /// Makes a further, unique namespace with its loopback up, such as an instance's; gone with the switch.
    pub fn extra_namespace(&self) -> Result<String, DriverError> {
        let name = unique();
        netns::create(&name)?;
        self.adopt_namespace(&name);
        self.run_at(&name, &["ip", "link", "set", "lo", "up"])?;
        Ok(name)
    }

    /// Has a namespace that the code under test makes removed with the switch, too.
    pub fn adopt_namespace(&self, name: &str) {
        self.extra.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(name.to_owned());
    }

    /// Waits until ovs-vswitchd has made a bridge and takes OpenFlow for it.
    pub fn wait_for_bridge(&self, bridge: &str) -> Result<(), DriverError> {
        wait_until("ovs-vswitchd", "the bridge is not made", || listens(&self.mgmt_socket(bridge)))
    }

    /// Ends ovs-vswitchd as `kill -9` would: flows are gone, the database and devices of others stay.
    pub fn kill_vswitchd(&mut self) {
        end(&mut self.vswitchd);
    }

    /// Starts ovs-vswitchd again; returns when it answers.
    pub fn start_vswitchd(&mut self) -> Result<(), DriverError> {
        let database = format!("unix:{}", self.db_socket().display());
        let control = format!("--unixctl={}", self.ctl_socket().display());
        drop(std::fs::remove_file(self.ctl_socket()));
        self.vswitchd = Some(self.daemon("ovs-vswitchd", &[&database, &control])?);
        let ready = || {
            self.appctl(&["version"]).is_ok()
                && self.vsctl(&["--no-wait", "get", "Open_vSwitch", ".", "cur_cfg"]).is_ok()
        };
        wait_until("ovs-vswitchd", "it does not answer", ready)
    }

    /// Kills and starts ovs-vswitchd.
    pub fn restart_vswitchd(&mut self) -> Result<(), DriverError> {
        self.kill_vswitchd();
        self.start_vswitchd()
    }

    /// Kills and starts ovsdb-server; ovs-vswitchd goes on.
    pub fn restart_ovsdb_server(&mut self) -> Result<(), DriverError> {
        end(&mut self.ovsdb_server);
        drop(std::fs::remove_file(self.db_socket()));
        self.start_ovsdb_server()
    }

    fn start_ovsdb_server(&mut self) -> Result<(), DriverError> {
        let database = self.folder.join("conf.db").display().to_string();
        let remote = format!("--remote=punix:{}", self.db_socket().display());
        let control = format!("--unixctl={}", self.folder.join("ovsdb-server.ctl").display());
        drop(std::fs::remove_file(self.folder.join("ovsdb-server.ctl")));
        self.ovsdb_server = Some(self.daemon("ovsdb-server", &[&database, &remote, &control])?);
        wait_until("ovsdb-server", "it does not listen", || listens(&self.db_socket()))
    }

    fn daemon(&self, program: &'static str, arguments: &[&str]) -> Result<Child, DriverError> {
        let log = format!("--log-file={}", self.folder.join(format!("{program}.log")).display());
        let mut command = Command::new("setpriv");
        // The daemon dies with the thread that started it, and that one with the test.
        command.args(["--pdeathsig", "KILL", program]).args(arguments).args([&log, "-vconsole:off"]);
        surroundings(&mut command, &self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.keeper.spawn(command).map_err(|error| failed(program, error))
    }
}

impl Drop for PrivateSwitch {
    fn drop(&mut self) {
        end(&mut self.vswitchd);
        end(&mut self.ovsdb_server);
        let extra = std::mem::take(self.extra.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner));
        for name in extra.iter().chain([&self.namespace]) {
            drop(netns::delete(name));
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A thread inside the namespace that starts the daemons and lives as long as they shall: the kernel's death signal to a
/// child is sent when the *thread* that forked it ends.
#[derive(Debug)]
struct Keeper {
    commands: mpsc::Sender<(Command, mpsc::Sender<io::Result<Child>>)>,
}

impl Keeper {
    fn start(place: Place) -> Result<Self, DriverError> {
        let (commands, todo) = mpsc::channel::<(Command, mpsc::Sender<io::Result<Child>>)>();
        let (entered, answer) = mpsc::channel();
        std::thread::Builder::new()
            .name("keeper".into())
            .spawn(move || {
                let enter = |file| nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET);
                let inside = place.open().and_then(|file| enter(file).map_err(|error| failed("setns", error.into())));
                let ok = inside.is_ok();
                drop(entered.send(inside));
                while let (true, Ok((mut command, answer))) = (ok, todo.recv()) {
                    drop(answer.send(command.spawn()));
                }
            })
            .map_err(|error| failed("thread", error))?;
        answer.recv().unwrap_or_else(|_| Err(failed("thread", io::Error::other("it ended"))))?;
        Ok(Self { commands })
    }

    fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, answered) = mpsc::channel();
        let gone = || io::Error::other("the keeper thread ended");
        self.commands.send((command, answer)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

fn surroundings(command: &mut Command, folder: &Path) {
    for variable in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR"] {
        command.env(variable, folder);
    }
}

fn run_in(place: &Place, folder: &Path, argv: &[&str], input: &str) -> Result<String, DriverError> {
    let [program, arguments @ ..] = argv else { return Err(failed("run", io::ErrorKind::InvalidInput.into())) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    surroundings(&mut command, folder);
    let input = input.to_owned();
    let output = place.run_blocking(move || -> io::Result<Output> {
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        std::thread::scope(|scope| {
            // Beside reading, lest both wait for each other.
            scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input.as_bytes())));
            child.wait_with_output()
        })
    })?;
    let output = output.map_err(|error| failed("run", error))?;
    let said = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    if output.status.success() {
        return Ok(said(&output.stdout));
    }
    let said = format!("{argv:?} ({}): {}{}", output.status, said(&output.stdout), said(&output.stderr));
    Err(DriverError::Program { program: "a test's command", said })
}

fn failed(program: &'static str, error: io::Error) -> DriverError {
    DriverError::Program { program, said: error.to_string() }
}

/// A name that no other process or switch has; it says whose it is, so that what a killed test left can be swept.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes namespaces and folders of tests that are no longer running.
fn sweep() {
    for name in netns::list().unwrap_or_default() {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(netns::delete(&name));
            drop(std::fs::remove_dir_all(std::env::temp_dir().join(&name)));
        }
    }
}

/// A socket's file alone says nothing: a process that was killed leaves it behind.
fn listens(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

fn wait_until(program: &'static str, what: &str, condition: impl Fn() -> bool) -> Result<(), DriverError> {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > PATIENCE {
            return Err(DriverError::Program { program, said: format!("{what} after {} s", PATIENCE.as_secs()) });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        drop(child.kill());
        drop(child.wait());
    }
}
