//! The page that `gg report --html` writes, in a browser.

use serde_json::Value;

use crate::browser::Browser;
use crate::project::Project;

/// Where the timeline shows that a program ran: a place of the window, or nothing.
const RUNNING: &str = "(() => {
  const canvas = document.getElementById('timeline'), box = canvas.getBoundingClientRect();
  const colour = getComputedStyle(document.documentElement).getPropertyValue('--run').trim();
  const [r, g, b] = [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));
  const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < data.length; at += 4) {
    const near = Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 12;
    if (near && data[at + 3] > 250) {
      const [x, y] = [(at / 4) % width, Math.floor(at / 4 / width)];
      return [box.left + (x + 1.5) * box.width / width, box.top + (y + .5) * box.height / height];
    }
  }
  return null;
})()";

const FOUND: &str = "document.getElementById('found').textContent";
const ROWS: &str = "document.getElementById('rows').innerText";
const TIP: &str = "(tip => tip.hidden ? '' : tip.innerText)(document.getElementById('tip'))";

fn text(value: Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Looks at what is drawn, points at it, searches a step, and goes through steps by key.
fn walk(browser: &mut Browser, search: &str) {
    browser.wait_for(&format!("{RUNNING} !== null"));
    let place = browser.evaluate(RUNNING);
    let (x, y) = (place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    browser.point(x, y);
    browser.wait_for(&format!("{TIP} !== ''"));
    let tip = text(browser.evaluate(TIP));
    assert!(tip.contains("running") && tip.contains("ms") | tip.contains(" s"), "{tip}");

    browser.evaluate("document.getElementById('search').focus()");
    browser.write(search);
    let found = text(browser.evaluate(FOUND));
    assert!(found.starts_with("1 of "), "{found}");
    let rows = text(browser.evaluate(ROWS));
    assert!(rows.contains(search), "{rows}");
    assert_eq!(browser.evaluate("document.querySelectorAll('#rows .row').length"), 1);

    browser.evaluate("document.getElementById('timeline').focus()");
    browser.press("n");
    browser.press("n");
    let described = text(browser.evaluate("document.querySelector('#step h3').textContent"));
    let second = text(browser.evaluate("document.getElementById('step').innerText"));
    assert!(!described.is_empty() && second.contains("inferred"), "{second}");
    assert_eq!(browser.problems(), [""; 0]);
}

#[test]
fn a_build_in_a_browser() {
    let project = Project::new();
    // Names are bytes, and one of them would end a script.
    let odd = "a<b></script><img src=x onerror=alert(1)>.c";
    project
        .write("Makefile", "app: main.o odd.o\n\t$(CC) -o $@ main.o odd.o\nmain.o: main.c\n\t$(CC) -c main.c\nodd.o:\n\t$(CC) -c \"$$(cat name)\" -o $@\n\t$(CC) -S main.c -o - | wc -l\n")
        .write("main.c", "int b(void);\nint main(void) { return b(); }\n")
        .write("name", "odd/".to_owned() + &odd.replace('/', "_"))
        .write("odd/".to_owned() + &odd.replace('/', "_"), "int b(void) { return 0; }\n");
    project.gg_make(&[]).ok();
    let said = project.gg(&["report", "--html"]).ok().stdout;
    assert!(said.contains("gg-report.html: 3 steps"), "{said}");
    let mut browser = Browser::open(&project.path("gg-report.html"));
    walk(&mut browser, "main.o");
    // In command lines, its user is found too, and what no name has.
    browser.evaluate("document.getElementById('commands').click()");
    assert_eq!(text(browser.evaluate(FOUND)), "2 of 3");
    let search = |browser: &mut Browser, words: &str| {
        browser.evaluate("document.getElementById('search').value = ''");
        browser.evaluate("document.getElementById('search').focus()");
        browser.write(words);
        text(browser.evaluate(FOUND))
    };
    assert_eq!(search(&mut browser, "-O APP"), "1 of 3");
    browser.evaluate("document.getElementById('commands').click()");
    assert_eq!(search(&mut browser, "-o app"), "0 of 3");
    assert_eq!(search(&mut browser, "main.o"), "1 of 3");
    let step = "document.getElementById('step').innerText";
    browser.evaluate("document.querySelector('#rows .row').click()");
    let described = text(browser.evaluate(step));
    assert!(described.contains("-c main.c") && described.contains("needed by: app"), "{described}");
    let all = text(browser.evaluate("document.body.innerText"));
    for part in
        ["Slowest steps", "Critical path", "By tool", "By folder", "Ran here and now", "writes to standard output"]
    {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert_eq!(browser.evaluate("document.images.length"), 0);
    // Once more, against the first one.
    project.write("main.c", "int b(void);\nint main(void) { return b() + 1; }\n").gg_make(&[]).ok();
    project.gg(&["report", "--html=second.html", "--against", "previous"]).ok();
    let mut browser = Browser::open(&project.path("second.html"));
    let all = text(browser.evaluate("document.body.innerText"));
    assert!(all.contains("Against run 1"), "{all}");
    assert_eq!(browser.problems(), [""; 0]);
}

#[test]
fn forty_thousand_steps_in_a_browser() {
    let project = Project::new();
    let args = ["simulate", "--synthetic", "40000", "--workers", "1000", "--report", "build.json"];
    project.gg(&args).ok();
    project.gg(&["report", "build.json", "--html=page.html"]).ok();
    let steps: Value = serde_json::from_slice(&project.read("build.json")).unwrap();
    let steps = steps["steps"].as_array().unwrap();
    // No other label has this one in it.
    let last = steps.iter().map(|step| step["label"].as_str().unwrap()).max_by_key(|label| label.len()).unwrap();
    let mut browser = Browser::open(&project.path("page.html"));
    assert_eq!(text(browser.evaluate(FOUND)), format!("{0} of {0}", steps.len()));
    // Its rows are drawn where one looks.
    browser.evaluate("document.getElementById('table').scrollTop = 1e9");
    let end = steps.last().unwrap()["label"].as_str().unwrap();
    browser.wait_for(&format!("{ROWS}.includes({end:?})"));
    assert!(browser.evaluate("document.querySelectorAll('#rows .row').length").as_u64().unwrap() < 60);
    // A thousand lanes are finer than pixels.
    browser.evaluate("document.getElementById('timeline').focus()");
    (0..7).for_each(|_| browser.press("]"));
    walk(&mut browser, last);
    // Closer, and what is drawn is another picture.
    let picture = "document.getElementById('timeline').toDataURL()";
    let before = browser.evaluate(picture);
    browser.press("0");
    browser.evaluate("document.getElementById('zoom-in').click()");
    browser.wait_for(&format!("{picture} !== {before}"));
    assert_eq!(browser.problems(), [""; 0]);
}
