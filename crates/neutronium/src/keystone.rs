//! `neutronium keystone`: what an external Keystone must know of Neutronium.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keystone_client::register::{self, Entry, Outcome, Registration, ServiceUser};
use keystone_client::{Account, Interface, Session};
use secret::Secret;

use crate::exit::{Exit, Failure};
use crate::print;
use error_text::sentence;

/// Arguments of `neutronium keystone`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes service, endpoints and, if asked to, the service user. Doing it again changes nothing.
    #[command(after_long_help = EXAMPLES)]
    Register(Box<Register>),
}

const EXAMPLES: &str = "\
Examples:
  The catalogue of a cloud whose clients reach Neutronium at one address, by an administrator's openrc:
    . admin-openrc
    neutronium keystone register --region RegionOne --url http://controller:9696

  Other addresses for users and for services, and the user that [identity] of server.toml names:
    neutronium keystone register --public-url https://network.example.org --internal-url http://10.0.0.11:9696 \\
        --admin-url http://10.0.0.11:9696 --service-user neutron --service-password-file /etc/neutronium/keystone.password

  For a script:
    neutronium keystone register --url http://controller:9696 --json";

#[derive(Debug, Args)]
struct Register {
    #[command(flatten)]
    administrator: Administrator,
    /// Region of the endpoints; made if it is not there
    #[arg(long, env = "OS_REGION_NAME", default_value = "RegionOne")]
    region: String,
    /// Address of the networking API, for every interface that has none of its own
    #[arg(long, required_unless_present_all = ["public_url", "internal_url", "admin_url"])]
    url: Option<String>,
    /// Address for everybody
    #[arg(long)]
    public_url: Option<String>,
    /// Address for the cloud's own services
    #[arg(long)]
    internal_url: Option<String>,
    /// Address for administrators
    #[arg(long)]
    admin_url: Option<String>,
    /// Name of the service
    #[arg(long, default_value = "neutron")]
    service_name: String,
    /// Also makes this user, with a role in the service project
    #[arg(long, requires = "service_password_file")]
    service_user: Option<String>,
    /// A file with the user's password; a user that is there already keeps its own
    #[arg(long)]
    service_password_file: Option<PathBuf>,
    /// The project in which the user has its roles; made if it is not there
    #[arg(long, default_value = "service")]
    service_project: String,
    /// The domain of user and project
    #[arg(long, default_value = "Default")]
    service_domain: String,
    /// A role of the user, several times for several; `service` may validate tokens
    #[arg(long = "service-role", default_value = "service")]
    service_roles: Vec<String>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Who signs in: the names that every OpenStack client has.
#[derive(Debug, Args)]
struct Administrator {
    /// Keystone's address
    #[arg(long, env = "OS_AUTH_URL")]
    os_auth_url: String,
    /// An administrator
    #[arg(long, env = "OS_USERNAME")]
    os_username: String,
    /// Its password; better in the environment than on the command line
    #[arg(long, env = "OS_PASSWORD", hide_env_values = true)]
    os_password: String,
    /// The project to sign in to
    #[arg(long, env = "OS_PROJECT_NAME")]
    os_project_name: String,
    /// The user's domain
    #[arg(long, env = "OS_USER_DOMAIN_NAME", default_value = "Default")]
    os_user_domain_name: String,
    /// The user's domain, by id
    #[arg(long, env = "OS_USER_DOMAIN_ID")]
    os_user_domain_id: Option<String>,
    /// The project's domain
    #[arg(long, env = "OS_PROJECT_DOMAIN_NAME", default_value = "Default")]
    os_project_domain_name: String,
    /// The project's domain, by id
    #[arg(long, env = "OS_PROJECT_DOMAIN_ID")]
    os_project_domain_id: Option<String>,
    /// A PEM file with the authorities that Keystone is trusted by
    #[arg(long, env = "OS_CACERT")]
    os_cacert: Option<PathBuf>,
    /// Believes any certificate
    #[arg(long)]
    insecure: bool,
}

impl Administrator {
    fn account(self) -> Account {
        // An openrc that leaves something out may well set it to nothing.
        let said = |id: Option<String>| id.filter(|id| !id.is_empty());
        Account {
            auth_url: self.os_auth_url,
            username: self.os_username,
            password: Some(Secret::new(self.os_password)),
            project_name: self.os_project_name,
            user_domain_name: self.os_user_domain_name,
            user_domain_id: said(self.os_user_domain_id),
            project_domain_name: self.os_project_domain_name,
            project_domain_id: said(self.os_project_domain_id),
            cafile: self.os_cacert,
            insecure: self.insecure,
            ..Account::default()
        }
    }
}

/// Runs the subcommand.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let Command::Register(register) = arguments.command;
    let json = register.json;
    let (account, wanted) = register.read()?;
    let session = Session::new(account).map_err(|error| Failure::refused(sentence(&error)))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    let done =
        runtime.block_on(register::register(&session, &wanted)).map_err(|error| Failure::failed(sentence(&error)))?;
    if json {
        print::json(&done)?;
    } else {
        show(&done);
    }
    Ok(Exit::DONE)
}

impl Register {
    fn read(self) -> Result<(Account, Registration), Failure> {
        let one_of = |own: Option<String>| own.or_else(|| self.url.clone());
        let endpoints = [
            (Interface::Public, one_of(self.public_url)),
            (Interface::Internal, one_of(self.internal_url)),
            (Interface::Admin, one_of(self.admin_url)),
        ];
        let endpoints = endpoints.into_iter().filter_map(|(interface, url)| Some((interface, url?))).collect();
        let user = match (self.service_user, self.service_password_file) {
            (Some(name), Some(file)) => {
                let password = std::fs::read_to_string(&file)
                    .map_err(|error| Failure::refused(format!("cannot read {}: {error}", file.display())))?;
                Some(ServiceUser {
                    name,
                    password: Secret::new(password.trim_end_matches(['\r', '\n'])),
                    project: self.service_project,
                    domain: self.service_domain,
                    roles: self.service_roles,
                })
            }
            _ => None,
        };
        let wanted = Registration { service: self.service_name, region: self.region, endpoints, user };
        Ok((self.administrator.account(), wanted))
    }
}

fn show(done: &[Entry]) {
    let mut table = print::table(&["What", "Name", "Id", "Outcome"]);
    for entry in done {
        let outcome = match entry.outcome {
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
        };
        table.add_row([entry.kind, &entry.name, &entry.id, outcome]);
    }
    print::line(table);
}
