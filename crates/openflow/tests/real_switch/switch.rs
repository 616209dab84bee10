//! An Open vSwitch of the test's own: network namespace, run directory, one bridge with the userspace datapath, and a
//! blocking OpenFlow connection to it. Everything is removed when it is dropped, also by a failing test.

use openflow::{
    Flow, diff,
    wire::{
        Body, Bundle, BundleStep, ErrorMessage, FlowMod, FlowStatsReply, FlowStatsRequest, Framer, Hello, Message,
        Refusal,
    },
};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const BRIDGE: &str = "br-test";
/// How long to wait before giving up; no test is about speed.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Switch {
    namespace: String,
    daemons: Vec<Child>,
    directory: tempfile::TempDir,
}

impl Switch {
    /// Starts ovsdb-server and ovs-vswitchd in a fresh namespace, with a bridge that only speaks OpenFlow 1.4.
    pub fn start(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let namespace = format!("of-{name}-{}", std::process::id());
        let mut switch = Self { namespace, daemons: vec![], directory };
        run(Command::new("ip").args(["netns", "add", &switch.namespace]));
        run(Command::new("ip").args(["-n", &switch.namespace, "link", "set", "lo", "up"]));
        let (database, socket) = (switch.path("conf.db"), switch.path("db.sock"));
        run(Command::new("ovsdb-tool").arg("create").arg(&database).arg("/usr/share/openvswitch/vswitch.ovsschema"));
        let remote = format!("--remote=punix:{}", socket.display());
        switch.daemon("ovsdb-server", &[&database.display().to_string(), &remote]);
        wait_for(&socket);
        switch.vsctl(&["--no-wait", "init"]);
        switch.daemon("ovs-vswitchd", &[&format!("unix:{}", socket.display())]);
        switch.vsctl(&["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev", "fail_mode=secure"]);
        switch.vsctl(&["set", "bridge", BRIDGE, "protocols=OpenFlow14"]);
        wait_for(&switch.management());
        switch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn management(&self) -> PathBuf {
        self.path("br-test.mgmt")
    }

    fn in_directory<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for variable in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR"] {
            command.env(variable, self.directory.path());
        }
        command
    }

    fn daemon(&mut self, program: &str, arguments: &[&str]) {
        let control = format!("--unixctl={}", self.path(program).with_extension("ctl").display());
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]).args(arguments).args([&control, "-vconsole:off"]);
        let child = self.in_directory(&mut command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemons.push(child.spawn().unwrap());
    }

    pub fn vsctl(&self, arguments: &[&str]) -> String {
        let database = format!("--db=unix:{}", self.path("db.sock").display());
        run(self.in_directory(Command::new("ovs-vsctl").args([&database, "-t", "60"]).args(arguments)))
    }

    /// `ovs-ofctl COMMAND BRIDGE ARGUMENTS`.
    pub fn ofctl(&self, command: &str, arguments: &[&str]) -> String {
        let bridge = format!("unix:{}", self.management().display());
        run(Command::new("ovs-ofctl").args(["-O", "OpenFlow14", "--no-stats", command, &bridge]).args(arguments))
    }

    pub fn connect(&self) -> Connection {
        Connection::open(&self.management())
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // The switch before its database, and the namespace when nobody is left in it.
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).status();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

fn wait_for(socket: &Path) {
    let begin = Instant::now();
    while UnixStream::connect(socket).is_err() {
        assert!(begin.elapsed() < PATIENCE, "nobody listens on {}", socket.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub struct Connection {
    stream: UnixStream,
    framer: Framer,
    next_xid: u32,
    next_bundle: u32,
}

impl Connection {
    fn open(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut this = Self { stream, framer: Framer::default(), next_xid: 1, next_bundle: 1 };
        this.send(Body::Hello(Hello::openflow14()));
        match this.receive().body {
            Body::Hello(hello) => assert!(hello.speaks_openflow14()),
            other => panic!("{other:?}"),
        }
        this
    }

    pub fn send(&mut self, body: impl Into<Body>) -> u32 {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.stream.write_all(&Message::new(xid, body).encode().unwrap()).unwrap();
        xid
    }

    pub fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// The next message that is not an echo request.
    pub fn receive(&mut self) -> Message {
        let begin = Instant::now();
        loop {
            // Echo requests would keep a read time-out from ever striking.
            assert!(begin.elapsed() < PATIENCE, "the switch says nothing");
            if let Some(frame) = self.framer.next_frame().unwrap() {
                let message = frame.decode().unwrap_or_else(|error| panic!("{error}: {:02x?}", frame.octets()));
                match message.body {
                    Body::EchoRequest(octets) => {
                        let reply = Message::new(message.xid, Body::EchoReply(octets)).encode().unwrap();
                        self.stream.write_all(&reply).unwrap();
                    }
                    _ => return message,
                }
                continue;
            }
            let mut portion = [0; 65536];
            let count = self.stream.read(&mut portion).unwrap();
            assert!(count > 0, "the switch hung up");
            self.framer.push(&portion[..count]);
        }
    }

    /// Sends, and says whether the switch refused.
    pub fn checked(&mut self, body: impl Into<Body>) -> Result<(), ErrorMessage> {
        let xid = self.send(body);
        let barrier = self.send(Body::BarrierRequest);
        let mut result = Ok(());
        loop {
            match self.receive() {
                Message { xid: refused, body: Body::Error(error) } if refused == xid => result = Err(error),
                Message { xid, body: Body::BarrierReply } if xid == barrier => return result,
                _ => {}
            }
        }
    }

    /// All changes or none.
    pub fn bundle(&mut self, changes: &[FlowMod]) -> Result<(), Vec<Refusal>> {
        let (mut bundle, octets) = Bundle::start(self.next_bundle, self.next_xid, changes).unwrap();
        self.next_bundle += 1;
        self.next_xid = bundle.next_xid();
        let mut writing = self.stream.try_clone().unwrap();
        // Written beside the reading, as a connection must be.
        let writer = std::thread::spawn(move || writing.write_all(&octets));
        let result = loop {
            let message = self.receive();
            match bundle.receive(&message).unwrap() {
                BundleStep::NotOurs | BundleStep::Wait => {}
                BundleStep::Send(octets) => self.stream.write_all(&octets).unwrap(),
                BundleStep::Committed => break Ok(()),
                BundleStep::Refused(refusals) => break Err(refusals),
            }
        };
        writer.join().unwrap().unwrap();
        result
    }

    /// Every flow, and in how many parts the switch told them.
    pub fn flows(&mut self) -> (Vec<Flow>, usize) {
        let xid = self.send(Body::FlowStatsRequest(FlowStatsRequest::all()));
        let (mut all, mut parts) = (FlowStatsReply { more: true, ..FlowStatsReply::default() }, 0);
        while all.more {
            match self.receive() {
                Message { xid: of, body: Body::FlowStatsReply(reply) } if of == xid => {
                    all.append(reply);
                    parts += 1;
                }
                Message { body: Body::Error(error), .. } => panic!("{error:?}"),
                _ => {}
            }
        }
        assert_eq!(all.unreadable, []);
        let mut flows: Vec<_> = all.flows.into_iter().map(|stats| stats.flow).collect();
        openflow::sort(&mut flows);
        (flows, parts)
    }

    /// Brings the bridge to these flows, touching only what differs.
    pub fn reach(&mut self, desired: &[Flow], owner: openflow::CookieOwner) -> openflow::FlowDiff {
        let difference = diff(&self.flows().0, desired, owner);
        self.bundle(&difference.flow_mods()).unwrap();
        difference
    }
}
