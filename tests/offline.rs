//! Nothing leaves the machine: watched from outside, and cut off from any network.

use quartet_tests::{Home, has_command, models_are_installed};
use std::fs;
use std::process::Output;

fn must_succeed(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn no_internet_socket_is_opened_by_import_and_ask() {
    if !models_are_installed() || !has_command("strace") {
        return;
    }
    let home = Home::new();
    let trace = home.path().join("trace.txt");
    let trace_argument = trace.to_str().expect("UTF-8");
    for arguments in [
        &["import", "assets/samples"][..],
        &["ask", "Who signed the contract?"],
        &["search", "contract"],
    ] {
        let watched = [
            "strace",
            "-f",
            "-qq",
            "-e",
            "trace=socket,connect,bind,listen",
            "-A",
            "-o",
            trace_argument,
        ];
        must_succeed(&home.wrapped(&watched).args(arguments).output().expect("strace starts"));
    }
    let calls = fs::read_to_string(&trace).expect("a trace");
    let internet: Vec<&str> = calls.lines().filter(|line| line.contains("AF_INET")).collect();
    assert!(internet.is_empty(), "{internet:#?}");
}

#[test]
fn it_works_where_there_is_no_network_at_all() {
    if !models_are_installed() || !has_command("unshare") {
        return;
    }
    let home = Home::new();
    let cut_off = ["unshare", "--map-root-user", "--net"];
    must_succeed(
        &home
            .wrapped(&cut_off)
            .args(["import", "assets/samples"])
            .output()
            .expect("unshare starts"),
    );
    must_succeed(
        &home
            .wrapped(&cut_off)
            .args(["ask", "Who signed the contract?"])
            .output()
            .expect("unshare starts"),
    );
}
