//! A lab and its instances, driven by the binary as a person drives it.

use crate::Client;
use crate::command::{self, Failure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// A lab by name; it may be up or not.
#[derive(Debug, Clone)]
pub struct Lab {
    name: String,
    program: PathBuf,
}

/// What came of a try to reach something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It answered, with these words if it had any.
    Answer(String),
    /// Nothing came back.
    Silence,
}

/// An instance.
#[derive(Debug, Clone)]
pub struct Probe {
    lab: Lab,
    /// Its name.
    pub name: String,
    /// The id of its port.
    pub port: String,
    /// Its address, as DHCP gave it.
    pub address: String,
    /// Its device on the host (the `tap` on br-int).
    pub device: String,
}

impl Lab {
    /// The lab `name`, driven by the binary that `NEUTRONIUM` names, or the one that was built beside this program.
    pub fn new(name: &str) -> Self {
        let beside = || {
            let here = std::env::current_exe().ok()?;
            // Tests are one folder deeper than programs.
            here.ancestors().skip(1).take(2).map(|folder| folder.join("neutronium")).find(|path| path.is_file())
        };
        let program = std::env::var_os("NEUTRONIUM").map(PathBuf::from).or_else(beside);
        Self { name: name.to_owned(), program: program.unwrap_or_else(|| "neutronium".into()) }
    }

    /// The lab `name`, driven by a certain binary.
    pub fn driven_by(name: &str, program: &std::path::Path) -> Self {
        Self { name: name.to_owned(), program: program.to_owned() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The binary, for commands on hosts.
    pub fn program(&self) -> std::borrow::Cow<'_, str> {
        self.program.to_string_lossy()
    }

    /// `neutronium ARGUMENTS`, about this lab.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("NEUTRONIUM_LAB", &self.name);
        command
    }

    /// Runs `neutronium ARGUMENTS`, which must succeed.
    pub fn run(&self, arguments: &[&str]) -> Result<String, Failure> {
        command::run(&mut self.command(arguments))
    }

    /// A command on a host or switch, to be run.
    pub fn exec_command(&self, node: &str, words: &[&str]) -> Command {
        self.command(&[&["lab", "exec", node, "--"], words].concat())
    }

    /// Runs a command on a host or switch; it must succeed.
    pub fn exec(&self, node: &str, words: &[&str]) -> Result<String, Failure> {
        command::run(&mut self.exec_command(node, words))
    }

    /// `neutronium ARGUMENTS` on a host, as its operator types it; it must succeed.
    pub fn neutronium_on(&self, node: &str, arguments: &[&str]) -> Result<String, Failure> {
        self.exec(node, &[&[&*self.program.to_string_lossy()], arguments].concat())
    }

    /// What hosts say to shell commands, for people: a scenario that failed is understood from that.
    pub fn tell(&self, hosts: &[&str], looks: &[&str]) {
        for host in hosts {
            for look in looks {
                let said = self.exec(host, &["sh", "-c", look]).unwrap_or_else(|failure| failure.to_string());
                // Nobody listens any more: it has failed all the same.
                let _ =
                    std::io::Write::write_fmt(&mut anstream::stderr(), format_args!("---- {host}: {look}\n{said}\n"));
            }
        }
    }

    /// The environment of a user, as `lab openrc` exports it.
    pub fn openrc(&self, user: &str, project: &str) -> Result<BTreeMap<String, String>, Failure> {
        // Let the shell, which it is written for, read it.
        let exports = self.run(&["lab", "openrc", "--user", user, "--project", project])?;
        let mut shell = Command::new("env");
        shell.args(["-i", "PATH=/usr/bin:/bin", "sh", "-c", "eval \"$1\"; env", "sh", &exports]);
        let environment = command::run(&mut shell)?;
        let variables = environment.lines().filter_map(|line| line.split_once('='));
        Ok(variables.filter(|(name, _)| name.starts_with("OS_")).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
    }

    /// Makes an instance on a port of the user's; `options` as `probe create` takes them.
    pub fn create_probe(
        &self,
        client: &Client,
        name: &str,
        network: &str,
        host: &str,
        options: &[&str],
    ) -> Result<Probe, Failure> {
        let place = ["--network", network, "--host", host];
        self.probe(client, name, &[&place[..], options].concat())
    }

    /// Makes an instance on a port that there is.
    pub fn plug_probe(&self, client: &Client, name: &str, port: &str, host: &str) -> Result<Probe, Failure> {
        self.probe(client, name, &["--port", port, "--host", host])
    }

    fn probe(&self, client: &Client, name: &str, options: &[&str]) -> Result<Probe, Failure> {
        let mut command = self.command(&["probe", "create", name, "--json"]);
        command.args(options).envs(client.environment());
        let text = command::run(&mut command)?;
        let unexpected = || Failure::Unexpected { command: command::line(&command), what: text.clone() };
        let answer: Value = serde_json::from_str(&text).map_err(|_| unexpected())?;
        let port = answer["port_id"].as_str().ok_or_else(unexpected)?.to_owned();
        let address = answer["addresses"][0].as_str().and_then(|text| text.split('/').next()).ok_or_else(unexpected)?;
        let short = port.get(..11).ok_or_else(unexpected)?;
        Ok(Probe {
            lab: self.clone(),
            name: name.to_owned(),
            address: address.to_owned(),
            device: format!("tap{short}"),
            port,
        })
    }

    /// Removes all instances.
    pub fn clear_probes(&self) -> Result<(), Failure> {
        self.run(&["probe", "clear"]).map(drop)
    }

    /// Waits until something is so, at most a minute.
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
        let start = Instant::now();
        while !is_so()? {
            if start.elapsed() > Duration::from_secs(60) {
                return Err(Failure::Unexpected { command: what.to_owned(), what: "not so after a minute".into() });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Succeeds with the first answer; gives up after three seconds. An address, and more options, follow.
pub const PING: [&str; 8] = ["ping", "-n", "-c", "1", "-i", "0.2", "-w", "3"];

impl Probe {
    /// Runs a command inside; it must succeed.
    pub fn run(&self, words: &[&str]) -> Result<String, Failure> {
        command::run(&mut self.command(words))
    }

    /// A command inside, to be run.
    pub fn command(&self, words: &[&str]) -> Command {
        self.lab.command(&[&["probe", "exec", &self.name, "--"], words].concat())
    }

    /// Pings until the first answer, for three seconds: the first may come too early for a cold cache on the way.
    pub fn ping(&self, address: &str) -> Result<Seen, Failure> {
        let output = command::output(&mut self.command(&[&PING[..], &[address]].concat()))?;
        Ok(if output.status.success() { Seen::Answer(String::new()) } else { Seen::Silence })
    }

    /// Connects by TCP and reads the first line that is answered.
    pub fn tcp(&self, address: &str, port: u16) -> Result<Seen, Failure> {
        let script =
            format!("exec 3<>/dev/tcp/{address}/{port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3");
        let output = command::output(&mut self.command(&["timeout", "4", "bash", "-c", &script]))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(if output.status.success() && !said.is_empty() { Seen::Answer(said) } else { Seen::Silence })
    }

    /// Starts a service that greets whoever connects by the address that it sees: `hello ADDRESS`.
    pub fn serve(&self, port: u16) -> Result<(), Failure> {
        let script = format!(
            "import socketserver\n\
             class Hello(socketserver.BaseRequestHandler):\n\
             \x20   def handle(self):\n\
             \x20       self.request.recv(4096)\n\
             \x20       self.request.sendall(('hello %s\\n' % self.client_address[0]).encode())\n\
             socketserver.ThreadingTCPServer.allow_reuse_address = True\n\
             server = socketserver.ThreadingTCPServer(('', {port}), Hello)\n\
             import os\n\
             if os.fork() == 0:\n\
             \x20   os.setsid()\n\
             \x20   null = os.open('/dev/null', os.O_RDWR)\n\
             \x20   [os.dup2(null, fd) for fd in (0, 1, 2)]\n\
             \x20   server.serve_forever()\n"
        );
        command::run(&mut self.command(&["python3", "-c", &script])).map(drop)
    }
}

/// Asks DHCP for an address, as the MAC that it is given or else as the device's own, and says which one is offered; gives up
/// after three tries. For `python3 -c`, in an instance.
pub const DISCOVER: &str = "
import socket, struct, sys
mac = bytes.fromhex((sys.argv[1] or open('/sys/class/net/eth0/address').read().strip()).replace(':', ''))
head = struct.pack('!BBBBIHH16x16s192x', 1, 1, 6, 0, 0x12345678, 0, 0x8000, mac)
ask = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ask.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
ask.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
ask.bind(('', 68))
ask.settimeout(1)
for _ in range(3):
    ask.sendto(head + bytes.fromhex('63825363350101ff'), ('255.255.255.255', 67))
    try:
        print(socket.inet_ntoa(ask.recv(2048)[16:20]))
        sys.exit(0)
    except TimeoutError:
        pass
sys.exit(1)
";
