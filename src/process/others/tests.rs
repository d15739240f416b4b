use super::*;

fn pid(number: RawPid) -> Pid {
    Pid::from_raw(number).unwrap()
}

#[test]
fn a_line_of_stat_is_read_whatever_the_name_holds() {
    let rest = "17 4242 4242 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 987654 1 2 3";
    for (comm, shown) in [("nginx", "nginx"), ("a) S 1 (b", "a) S 1 (b"), ("", ""), (") (", ") (")] {
        let seen = parse(pid(4242), &format!("4242 ({comm}) S {rest}")).unwrap();
        assert_eq!((seen.comm.as_str(), seen.parent, seen.started), (shown, 17, 987_654));
    }
    for gone in ["Z", "X"] {
        assert_eq!(parse(pid(4242), &format!("4242 (nginx) {gone} {rest}")), None);
    }
    for broken in ["", "4242", "4242 (nginx", "4242 (nginx) S", "4242 (nginx) S 17 1 2", "4242 (nginx) S x y"] {
        assert_eq!(parse(pid(4242), broken), None, "{broken}");
    }
}

#[test]
fn a_process_is_known_by_its_number_its_start_and_its_name() {
    let own = Seen::look(getpid()).unwrap();
    assert!(own.is(&Seen::look(getpid()).unwrap()));
    assert!(!own.is(&Seen { started: own.started + 1, ..own.clone() }), "another process under its number");
    assert!(!own.is(&Seen { comm: "other".to_owned(), ..own.clone() }), "it runs something else now");
    assert!(own.is(&Seen { parent: 1, ..own.clone() }), "a parent may end");
    assert_eq!(own.uids(), Some((rustix::process::getuid().as_raw(), rustix::process::geteuid().as_raw())));
    assert_eq!(Seen::look(pid(RawPid::MAX)), None);
}

#[test]
fn nobody_finds_themselves() {
    let own = Seen::look(getpid()).unwrap();
    assert!(own.is_named(&own.program().unwrap()) && own.is_named(&own.comm));
    assert!(topmost(&own.comm).unwrap().iter().all(|seen| seen.pid != getpid()));
}

#[test]
fn whether_others_share_the_namespace_is_seen_by_who_came_from_outside() {
    let all = |lines: &[(RawPid, RawPid, &str)]| -> Vec<Seen> {
        let seen = |(number, parent, comm): &(RawPid, RawPid, &str)| Seen {
            pid: pid(*number),
            parent: *parent,
            comm: (*comm).to_owned(),
            started: 7,
        };
        lines.iter().map(seen).collect()
    };
    let table = [
        ("a container's main process", true, &[(1, 0, "keyferry")][..]),
        ("kubectl exec", true, &[(1, 0, "keyferry"), (14, 0, "keyferry")]),
        ("what it has started", true, &[(1, 0, "keyferry"), (14, 0, "keyferry"), (7, 1, "app"), (8, 7, "worker")]),
        ("a pod's shared namespace", false, &[(1, 0, "pause"), (14, 0, "keyferry")]),
        ("an application that joined it", false, &[(1, 0, "keyferry"), (14, 0, "keyferry"), (9, 0, "nginx")]),
        ("started by a shell", false, &[(1, 0, "sh"), (14, 1, "keyferry")]),
        ("a machine", false, &[(1, 0, "systemd"), (2, 0, "kthreadd"), (14, 1, "keyferry")]),
        ("others are hidden", false, &[(14, 0, "keyferry")]),
        ("nothing can be seen", false, &[]),
    ];
    for (what, alone, lines) in table {
        let own = lines.iter().rfind(|(.., comm)| *comm == "keyferry").map_or(14, |(number, ..)| *number);
        assert_eq!(are_all_of(pid(own), &all(lines)), alone, "{what}");
    }
}
