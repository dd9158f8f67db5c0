//! Two builds at once on one store.

use crate::project::{Project, run};
use crate::same_tree::small;

#[test]
fn two_projects_share_a_store() {
    let (one, two) = (Project::new(), Project::new());
    small(&one);
    small(&two);
    two.write("main.c", "int util(int); int main(void) { return util(2); }\n");
    let want = {
        two.make(&[]).ok();
        let manifest = two.manifest();
        two.make(&["clean"]).ok();
        manifest
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| one.same_as_make(&["-j2"]));
        let second = scope.spawn(|| run(two.gg_make_command(&["-j2"]).env("GG_DIR", one.store())));
        first.join().unwrap();
        second.join().unwrap().ok();
    });
    crate::project::assert_same(&want, &two.manifest());
}
