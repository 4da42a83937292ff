//! Network namespaces, a thread each, and connections from them. All of it is gone with the process.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, recv, recvmsg,
    send, setsockopt, socket, sockopt,
};
use nix::unistd::{getpid, gettid};
use svc_model::Protocol;

type Task = Box<dyn FnOnce() + Send>;

/// A network namespace, and the thread that lives in it.
pub(crate) struct Namespace {
    tasks: Sender<Task>,
    /// The file by which others find it.
    pub(crate) path: String,
}

impl Namespace {
    pub(crate) fn new() -> Result<Namespace, String> {
        let (tasks, todo) = channel::<Task>();
        let (ready, started) = channel();
        thread::spawn(move || {
            let made =
                unshare(CloneFlags::CLONE_NEWNET).map(|()| format!("/proc/{}/task/{}/ns/net", getpid(), gettid()));
            let is_made = made.is_ok();
            let _ = ready.send(made);
            if is_made {
                todo.iter().for_each(|task| task());
            }
        });
        let path = started.recv().map_err(|error| error.to_string())?;
        Ok(Namespace { tasks, path: path.map_err(|error| format!("unshare: {error}"))? })
    }

    /// Does something in the namespace: sockets that are made there belong to it, and so do programs.
    pub(crate) fn run<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        self.tasks.send(Box::new(move || drop(done.send(task())))).unwrap();
        result.recv().unwrap()
    }

    /// Runs a script; what it printed, or how it failed.
    pub(crate) fn sh(&self, script: &str) -> Result<String, String> {
        let script = script.to_owned();
        self.run(move || {
            let output = Command::new("sh").args(["-ec", &script]).output().map_err(|error| error.to_string())?;
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            let complaint = String::from_utf8_lossy(&output.stderr);
            if output.status.success() { Ok(printed) } else { Err(format!("{script}: {complaint}")) }
        })
    }
}

/// The first of these programs that is not there.
pub(crate) fn missing(programs: &[&str]) -> Option<String> {
    let is_missing = |program: &&&str| {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        !found.is_ok_and(|output| output.status.success())
    };
    programs.iter().find(is_missing).map(|program| format!("{program} is not installed"))
}

/// How a connection came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// An error of ICMP said that the port cannot be reached: what rules that refuse send.
    Refused,
    /// Whoever has the address has nobody listening.
    Closed,
    /// Silence.
    Lost,
    /// Anything else, by its number.
    Other(i32),
}

/// A socket for one connection, from this address if one is said. It belongs to the namespace of the thread that makes it.
pub(crate) fn dial(protocol: Protocol, from: Option<IpAddr>, to: SocketAddr) -> OwnedFd {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let kind = if protocol == Protocol::Udp { SockType::Datagram } else { SockType::Stream };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let dialled = socket(family, kind, flags, None).unwrap();
    // A refusal that meets a process still at connecting is told in the socket's queue only, and believed a second later.
    match family {
        AddressFamily::Inet => setsockopt(&dialled, sockopt::Ipv4RecvErr, &true),
        _ => setsockopt(&dialled, sockopt::Ipv6RecvErr, &true),
    }
    .unwrap();
    if let Some(from) = from {
        let from = SockaddrStorage::from(SocketAddr::new(from, 0));
        bind(dialled.as_raw_fd(), &from).unwrap_or_else(|errno| panic!("{from}: {errno}"));
    }
    dialled
}

/// Connects a dialled socket; the answer that comes within this time.
pub(crate) fn ask(
    dialled: &OwnedFd,
    protocol: Protocol,
    to: SocketAddr,
    patience: Duration,
) -> Result<String, Failure> {
    let fd = dialled.as_raw_fd();
    let connected = match connect(fd, &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) if protocol == Protocol::Udp => send(fd, b"?", MsgFlags::empty()).map(drop),
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(()),
        Err(errno) => Err(errno),
    };
    let start = Instant::now();
    let mut buffer = [0; 128];
    let mut outcome = connected.and(Err(Errno::EAGAIN));
    while outcome == Err(Errno::EAGAIN) {
        let left = patience.saturating_sub(start.elapsed());
        let mut waits = [PollFd::new(dialled.as_fd(), PollFlags::POLLIN)];
        if poll(&mut waits, PollTimeout::try_from(left).unwrap()).unwrap() == 0 {
            return Err(Failure::Lost);
        }
        if let Some(error) = told_by_others(dialled) {
            return Err(error);
        }
        outcome = recv(fd, &mut buffer, MsgFlags::empty());
    }
    match outcome {
        Ok(n) => Ok(String::from_utf8_lossy(&buffer[..n]).into_owned()),
        Err(errno) => Err(told_by_others(dialled).unwrap_or(match errno {
            Errno::ECONNREFUSED | Errno::ECONNRESET => Failure::Closed,
            errno => Failure::Other(errno as i32),
        })),
    }
}

/// What the socket's queue of errors holds: those of ICMP.
fn told_by_others(socket: &OwnedFd) -> Option<Failure> {
    let (mut data, mut control) = ([0; 128], [0; 256]);
    let mut data = [IoSliceMut::new(&mut data)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut data, Some(&mut control), MsgFlags::MSG_ERRQUEUE).ok()?;
    message.cmsgs().ok()?.find_map(|told| match told {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            let errno = error.ee_errno.cast_signed();
            Some(if errno == Errno::ECONNREFUSED as i32 { Failure::Refused } else { Failure::Other(errno) })
        }
        _ => None,
    })
}
