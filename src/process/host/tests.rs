use super::*;

const SWAP: &str = "Filename Type Size Used Priority\n/swapfile file 1024 0 -2\n";
const MOUNTS: &str = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /run/plain rw,nosuid - tmpfs tmpfs rw,size=64k
31 22 0:26 / /run/never\\040swapped rw - tmpfs tmpfs rw,noswap
32 22 0:27 / /run/ram rw - ramfs ramfs rw
33 22 0:28 / /run/over rw - tmpfs tmpfs rw
34 33 0:29 / /run/over rw - tmpfs tmpfs rw,noswap
";

#[test]
fn only_a_tmpfs_on_a_machine_that_swaps() {
    let table = [
        ("/run/plain/keyferry", true),
        ("/run/plain", true),
        ("/run/plainer", false),
        ("/run/never swapped/keyferry", false),
        ("/run/ram/keyferry", false),
        ("/run/over/keyferry", false),
        ("/var/keyferry", false),
    ];
    for (dir, swappable) in table {
        assert_eq!(is_swappable(Path::new(dir), SWAP, MOUNTS), swappable, "{dir}");
        assert!(!is_swappable(Path::new(dir), "Filename Type Size Used Priority\n", MOUNTS), "{dir}");
        assert!(!is_swappable(Path::new(dir), "", ""), "{dir}");
    }
}
