//! What a path tells: the kind of file, its language, its directory, and whether it is a sensitive place.

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

impl<'a> PathFacts<'a> {
    /// Reads a path. `lower` is room for its lower-case form, reused from call to call.
    pub(crate) fn of(path: &'a str, lower: &mut String) -> Self {
        lower.clear();
        lower.push_str(path);
        lower.make_ascii_lowercase();
        let lower: &str = lower;
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let subsystem = path.split_once('/').map_or("", |(first, _)| first);
        let name = lower.rsplit('/').next().unwrap_or(lower);
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let language = language(extension);
        Self {
            kind: kind(lower, name, extension, language, is_named_test(path.rsplit('/').next().unwrap_or(path))),
            language,
            sensitive: sensitive(lower),
            directory,
            subsystem,
            depth: path.bytes().filter(|byte| *byte == b'/').count() as u32,
        }
    }
}

#[rustfmt::skip]
mod named {
    //! What tells the kind of a file: whole names and extensions, in lower case.

    pub(super) const DEPENDENCIES: [&str; 21] = [
        "cargo.lock", "cargo.toml", "package.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "go.mod", "go.sum",
        "pipfile", "pipfile.lock", "poetry.lock", "uv.lock", "setup.py", "pyproject.toml", "gemfile", "gemfile.lock",
        "composer.json", "composer.lock", "pom.xml", "build.gradle", "build.gradle.kts",
    ];
    pub(super) const CI: [&str; 7] = [
        ".travis.yml", ".gitlab-ci.yml", ".cirrus.yml", "appveyor.yml", "jenkinsfile", "azure-pipelines.yml",
        "cloudbuild.yaml",
    ];
    pub(super) const CONFIG_EXTENSIONS: [&str; 18] = [
        "json", "yaml", "yml", "toml", "ini", "cfg", "conf", "properties", "env", "lock", "xml", "in", "am", "ac", "cmake",
        "nix", "hcl", "tf",
    ];
    pub(super) const ASSET_EXTENSIONS: [&str; 16] = [
        "png", "jpg", "jpeg", "gif", "svg", "ico", "pdf", "woff", "woff2", "ttf", "mp4", "zip", "gz", "bin", "csv",
        "parquet",
    ];
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

fn kind(path: &str, name: &str, extension: &str, language: Option<&'static str>, is_named_test: bool) -> FileKind {
    let has_part = |parts: &[&str]| path.split('/').any(|part| parts.contains(&part));
    let in_directory = |parts: &[&str]| {
        path.rsplit_once('/').is_some_and(|(directory, _)| directory.split('/').any(|part| parts.contains(&part)))
    };
    let stem = name.split('.').next().unwrap_or(name);
    if has_part(&["vendor", "node_modules", "third_party", "dist", "generated", "__snapshots__"])
        || [".min.js", ".min.css", ".pb.go", "_pb2.py", "_pb2_grpc.py", ".g.dart", ".snap"]
            .iter()
            .any(|end| name.ends_with(end))
        || name.contains(".generated.")
    {
        FileKind::Generated
    } else if named::DEPENDENCIES.contains(&name) || (name.starts_with("requirements") && extension == "txt") {
        FileKind::Dependency
    } else if path.starts_with(".github/workflows/")
        || has_part(&[".circleci", ".buildkite", ".ci"])
        || in_directory(&["ci"])
        || named::CI.contains(&name)
    {
        FileKind::Ci
    } else if in_directory(&["test", "tests", "testing", "spec", "specs", "__tests__", "testdata", "fixtures"])
        || is_named_test
        || stem == "conftest"
        || name.contains(".spec.")
    {
        FileKind::Test
    } else if in_directory(&["doc", "docs"])
        || (["md", "rst", "adoc", "txt"].contains(&extension) && name != "cmakelists.txt")
        || ["readme", "changelog", "changes", "license", "copying", "contributing", "authors", "codeowners"]
            .contains(&stem)
    {
        FileKind::Docs
    } else if named::CONFIG_EXTENSIONS.contains(&extension)
        || ["makefile", "cmakelists.txt"].contains(&name)
        || name.starts_with("dockerfile")
        || (name.starts_with('.') && language.is_none())
    {
        FileKind::Config
    } else if named::ASSET_EXTENSIONS.contains(&extension) {
        FileKind::Asset
    } else if language.is_some() {
        FileKind::Source
    } else {
        FileKind::Other
    }
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
    path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
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
