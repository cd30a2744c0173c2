//! What a path tells: the kind of file, its language, its directory, and whether it is a sensitive place.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter, memrchr};

use crate::text::split;

/// What a file is for. Each file is of one kind; the first rule that fits decides, in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Generated,
    Dependency,
    Ci,
    Test,
    Docs,
    Config,
    Asset,
    Source,
    Other,
}

/// Places where a mistake costs more than elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sensitive {
    pub(crate) authentication: bool,
    pub(crate) cryptography: bool,
    pub(crate) migration: bool,
    pub(crate) workflow: bool,
}

/// What a path tells.
#[derive(Clone, Debug)]
pub(crate) struct PathFacts<'a> {
    pub(crate) kind: FileKind,
    pub(crate) language: Option<&'static str>,
    pub(crate) sensitive: Sensitive,
    /// Everything before the last `/`; empty for a file at the root.
    pub(crate) directory: &'a str,
    /// The first part of the path; empty for a file at the root.
    pub(crate) subsystem: &'a str,
    /// Number of directories above the file.
    pub(crate) depth: u32,
}

static TEST: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("test"));

impl<'a> PathFacts<'a> {
    /// Reads a path. `lower` is room for its lower-case form, reused from call to call.
    pub(crate) fn of(path: &'a str, lower: &mut String) -> Self {
        lower.clear();
        lower.push_str(path);
        lower.make_ascii_lowercase();
        let lower: &str = lower;
        let slashes = || memchr_iter(b'/', path.as_bytes());
        let (first, last) = (slashes().next(), slashes().next_back());
        let directory = last.map_or("", |at| &path[..at]);
        let begin = last.map_or(0, |at| at + 1);
        let name = &lower[begin..];
        let extension = memrchr(b'.', name.as_bytes()).map_or("", |at| &name[at + 1..]);
        let language = language(extension);
        // Few names hold the word at all.
        let is_test = TEST.find(name.as_bytes()).is_some() && is_named_test(&path[begin..]);
        Self {
            kind: kind(&lower[..begin], name, extension, language, is_test),
            language,
            sensitive: sensitive(lower),
            directory,
            subsystem: first.map_or("", |at| &path[..at]),
            depth: slashes().count() as u32,
        }
    }
}

#[rustfmt::skip]
fn is_dependency(name: &str) -> bool {
    matches!(
        name,
        "cargo.lock" | "cargo.toml" | "package.json" | "package-lock.json" | "yarn.lock" | "pnpm-lock.yaml" | "go.mod"
            | "go.sum" | "pipfile" | "pipfile.lock" | "poetry.lock" | "uv.lock" | "setup.py" | "pyproject.toml" | "gemfile"
            | "gemfile.lock" | "composer.json" | "composer.lock" | "pom.xml" | "build.gradle" | "build.gradle.kts"
    )
}

#[rustfmt::skip]
fn is_ci(name: &str) -> bool {
    matches!(
        name,
        ".travis.yml" | ".gitlab-ci.yml" | ".cirrus.yml" | "appveyor.yml" | "jenkinsfile" | "azure-pipelines.yml"
            | "cloudbuild.yaml"
    )
}

#[rustfmt::skip]
fn is_config(extension: &str) -> bool {
    matches!(
        extension,
        "json" | "yaml" | "yml" | "toml" | "ini" | "cfg" | "conf" | "properties" | "env" | "lock" | "xml" | "in" | "am"
            | "ac" | "cmake" | "nix" | "hcl" | "tf"
    )
}

#[rustfmt::skip]
fn is_asset(extension: &str) -> bool {
    matches!(
        extension,
        "png" | "jpg" | "jpeg" | "gif" | "svg" | "ico" | "pdf" | "woff" | "woff2" | "ttf" | "mp4" | "zip" | "gz" | "bin"
            | "csv" | "parquet"
    )
}

/// Whether the first or the last word of a file's name is `test` or `tests`, as in `test_x.c`, `x-tests.js`, `XTest.java`
/// and not in `latest.rs`. `name` is as it was written: a word may also begin with a capital.
fn is_named_test(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut words = stem.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let last = words.next_back().unwrap_or(first);
    ["test", "tests"].iter().any(|test| first.eq_ignore_ascii_case(test) || last.eq_ignore_ascii_case(test))
        || ["Test", "Tests"].iter().any(|test| last.ends_with(test))
        || ["Test", "Tests", "test"]
            .iter()
            .any(|test| first.strip_prefix(test).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase())))
}

/// What the directories of a path and its name by itself say of the kind of a file.
#[derive(Default)]
struct Places {
    generated: bool,
    ci: bool,
    test: bool,
    docs: bool,
}

impl Places {
    fn of(directories: &str, name: &str) -> Self {
        let mut places = Self::default();
        for part in split(directories, b'/') {
            match part {
                "ci" => places.ci = true,
                "test" | "tests" | "testing" | "spec" | "specs" | "__tests__" | "testdata" | "fixtures" => {
                    places.test = true;
                }
                "doc" | "docs" => places.docs = true,
                part => places.note(part),
            }
        }
        places.note(name);
        places
    }

    /// What a part says wherever it stands, also as the name of a file.
    fn note(&mut self, part: &str) {
        match part {
            "vendor" | "node_modules" | "third_party" | "dist" | "generated" | "__snapshots__" => self.generated = true,
            ".circleci" | ".buildkite" | ".ci" => self.ci = true,
            _ => {}
        }
    }
}

/// The kind of the file `name` below `directories`, which end in a slash unless there are none. All in lower case.
fn kind(
    directories: &str,
    name: &str,
    extension: &str,
    language: Option<&'static str>,
    is_named_test: bool,
) -> FileKind {
    let places = Places::of(directories, name);
    let stem = memchr(b'.', name.as_bytes()).map_or(name, |dot| &name[..dot]);
    if places.generated
        || [".min.js", ".min.css", ".pb.go", "_pb2.py", "_pb2_grpc.py", ".g.dart", ".snap"]
            .iter()
            .any(|end| name.ends_with(end))
        || has_middle(name, "generated")
    {
        FileKind::Generated
    } else if is_dependency(name) || (name.starts_with("requirements") && extension == "txt") {
        FileKind::Dependency
    } else if places.ci || directories.starts_with(".github/workflows/") || is_ci(name) {
        FileKind::Ci
    } else if places.test || is_named_test || stem == "conftest" || has_middle(name, "spec") {
        FileKind::Test
    } else if places.docs
        || (matches!(extension, "md" | "rst" | "adoc" | "txt") && name != "cmakelists.txt")
        || matches!(
            stem,
            "readme" | "changelog" | "changes" | "license" | "copying" | "contributing" | "authors" | "codeowners"
        )
    {
        FileKind::Docs
    } else if is_config(extension)
        || matches!(name, "makefile" | "cmakelists.txt")
        || name.starts_with("dockerfile")
        || (name.starts_with('.') && language.is_none())
    {
        FileKind::Config
    } else if is_asset(extension) {
        FileKind::Asset
    } else if language.is_some() {
        FileKind::Source
    } else {
        FileKind::Other
    }
}

/// Whether `part` stands between two dots of a name.
fn has_middle(name: &str, part: &str) -> bool {
    let mut dots = memchr_iter(b'.', name.as_bytes());
    let Some(mut before) = dots.next() else { return false };
    dots.any(|dot| {
        let between = &name[before + 1..dot];
        before = dot;
        between == part
    })
}

fn language(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "rs" => "rust",
        "py" | "pyi" | "pyx" => "python",
        "js" | "jsx" | "mjs" | "cjs" => "javascript",
        "ts" | "tsx" | "mts" => "typescript",
        "go" => "go",
        "java" => "java",
        "kt" | "kts" => "kotlin",
        "scala" => "scala",
        "c" | "h" => "c",
        "cc" | "cpp" | "cxx" | "hpp" | "hh" | "hxx" => "c++",
        "cs" => "c#",
        "rb" => "ruby",
        "php" => "php",
        "swift" => "swift",
        "m" | "mm" => "objective-c",
        "sh" | "bash" | "zsh" | "ps1" | "bat" => "shell",
        "sql" => "sql",
        "html" | "htm" | "vue" | "svelte" => "html",
        "css" | "scss" | "sass" | "less" => "css",
        "proto" | "thrift" | "graphql" => "interface",
        "s" | "asm" => "assembly",
        "lua" => "lua",
        "r" => "r",
        "jl" => "julia",
        "ex" | "exs" | "erl" => "erlang",
        "hs" => "haskell",
        "ml" | "mli" => "ocaml",
        "clj" => "clojure",
        "dart" => "dart",
        "pl" | "pm" => "perl",
        "sage" => "sage",
        "zig" => "zig",
        _ => return None,
    })
}

fn sensitive(path: &str) -> Sensitive {
    let mut found = Sensitive::default();
    for word in words_of(path) {
        match word {
            "auth" | "authn" | "authz" | "authentication" | "authorization" | "oauth" | "login" | "password"
            | "passwords" | "permission" | "permissions" | "saml" | "sso" | "rbac" | "acl" => {
                found.authentication = true;
            }
            "crypto" | "cryptography" | "cipher" | "encrypt" | "encryption" | "decrypt" | "signature"
            | "signatures" | "tls" | "ssl" | "cert" | "certs" | "certificate" | "certificates" | "secret"
            | "secrets" | "keys" | "hash" | "ecdsa" | "schnorr" | "schnorrsig" | "ecdh" | "rsa" => {
                found.cryptography = true;
            }
            "migration" | "migrations" | "migrate" | "alembic" | "schema" | "schemas" => found.migration = true,
            _ => {}
        }
    }
    found.workflow = path.starts_with(".github/workflows/") || path.starts_with(".github/actions/");
    found
}

/// The words of a path: what stands between its separators.
fn words_of(path: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let bytes = path.as_bytes();
        let begin = at + bytes[at..].iter().position(u8::is_ascii_alphanumeric)?;
        at =
            begin + bytes[begin..].iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(bytes.len() - begin);
        Some(&path[begin..at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(path: &str) -> FileKind {
        PathFacts::of(path, &mut String::new()).kind
    }

    #[test]
    fn each_file_is_of_one_kind() {
        assert_eq!(kind_of("src/lib.rs"), FileKind::Source);
        assert_eq!(kind_of("tests/conftest.py"), FileKind::Test);
        assert_eq!(kind_of("src/Tests.c"), FileKind::Test);
        for test in [
            "src/tests_exhaustive.c",
            "test_foo.c",
            "src/foo_test.go",
            "src/foo-tests.js",
            "Button.test.tsx",
            "FooTest.java",
            "FooTests.cs",
            "HTTPTest.kt",
            "TestFoo.java",
            "testFoo.js",
            "foo_test2.py",
            "Foo.Tests.csproj",
            "user.spec.ts",
            "conftest.py",
        ] {
            assert_eq!(kind_of(test), FileKind::Test, "{test}");
        }
        for source in [
            "latest.rs",
            "contest.py",
            "attestation.go",
            "Testament.java",
            "TESTAMENT.java",
            "LATEST.go",
            "tester.py",
            "detest_all.c",
            "run_latest.sh",
            "a_test_of_time.rs",
        ] {
            assert_eq!(kind_of(source), FileKind::Source, "{source}");
        }
        assert_eq!(kind_of("docs/guide.md"), FileKind::Docs);
        assert_eq!(kind_of("requirements-dev.txt"), FileKind::Dependency);
        assert_eq!(kind_of(".github/workflows/ci.yml"), FileKind::Ci);
        assert_eq!(kind_of("ci/ci.sh"), FileKind::Ci);
        assert_eq!(kind_of("vendor/x/y.go"), FileKind::Generated);
        assert_eq!(kind_of("configure.ac"), FileKind::Config);
        assert_eq!(kind_of("Makefile"), FileKind::Config);
        assert_eq!(kind_of("src/CMakeLists.txt"), FileKind::Config);
        assert_eq!(kind_of("logo.PNG"), FileKind::Asset);
        assert_eq!(kind_of("bin/tool"), FileKind::Other);
        assert_eq!(kind_of(""), FileKind::Other);
    }

    #[test]
    fn places_are_read_off_whole_words() {
        let of = |path: &'static str| PathFacts::of(path, &mut String::new()).sensitive;
        assert!(of("app/auth/login.py").authentication);
        for other in ["app/author.py", "src/modules/musig/session_impl.h", "parser/tokens.rs"] {
            assert!(!of(other).authentication, "{other}");
        }
        assert!(of("db/migrations/0001.sql").migration);
        assert!(of("src/tls_config.rs").cryptography);
        for workflow in [".github/workflows/a.yml", ".github/actions/a/action.yml"] {
            assert!(of(workflow).workflow, "{workflow}");
        }
        assert!(!of("docs/.github/workflows/a.yml").workflow);
    }

    #[test]
    fn a_path_has_directories() {
        let mut lower = String::new();
        let facts = PathFacts::of("a/b/c.rs", &mut lower);
        assert_eq!((facts.directory, facts.subsystem, facts.depth), ("a/b", "a", 2));
        let facts = PathFacts::of("c.rs", &mut lower);
        assert_eq!((facts.directory, facts.subsystem, facts.depth), ("", "", 0));
    }
}
