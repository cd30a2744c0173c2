//! Where the files of a code base lie, by language.

/// The main language of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    Python,
    TypeScript,
    Go,
    Java,
    Cpp,
}

impl Language {
    /// With how common each is.
    pub(crate) const ALL: [(Self, f64); 6] = [
        (Self::Python, 0.26),
        (Self::TypeScript, 0.26),
        (Self::Go, 0.16),
        (Self::Rust, 0.14),
        (Self::Java, 0.10),
        (Self::Cpp, 0.08),
    ];

    /// A source file of a subsystem; `directory` may be empty.
    pub(crate) fn source(self, project: &str, subsystem: &str, directory: &str, stem: &str) -> String {
        let inner = slashed(directory);
        match self {
            Self::Rust => format!("{subsystem}/src/{inner}{stem}.rs"),
            Self::Python => format!("{project}/{subsystem}/{inner}{stem}.py"),
            Self::TypeScript if subsystem == "ui" => format!("packages/ui/src/{inner}{}.tsx", pascal(stem)),
            Self::TypeScript => format!("packages/{subsystem}/src/{inner}{}.ts", stem.replace('_', "-")),
            Self::Go => format!("internal/{subsystem}/{inner}{stem}.go"),
            Self::Java => {
                format!("{subsystem}/src/main/java/com/{project}/{subsystem}/{inner}{}.java", pascal(stem))
            }
            Self::Cpp => format!("src/{subsystem}/{inner}{stem}.cc"),
        }
    }

    /// The test of such a file.
    pub(crate) fn test(self, project: &str, subsystem: &str, directory: &str, stem: &str) -> String {
        let inner = slashed(directory);
        match self {
            Self::Rust => format!("{subsystem}/tests/{stem}.rs"),
            Self::Python => format!("tests/{subsystem}/test_{stem}.py"),
            Self::TypeScript => format!("packages/{subsystem}/src/{inner}{}.test.ts", stem.replace('_', "-")),
            Self::Go => format!("internal/{subsystem}/{inner}{stem}_test.go"),
            Self::Java => {
                format!("{subsystem}/src/test/java/com/{project}/{subsystem}/{inner}{}Test.java", pascal(stem))
            }
            Self::Cpp => format!("tests/{subsystem}/{stem}_test.cc"),
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Rust => "rs",
            Self::Python => "py",
            Self::TypeScript => "ts",
            Self::Go => "go",
            Self::Java => "java",
            Self::Cpp => "cc",
        }
    }

    /// A benchmark.
    pub(crate) fn benchmark(self, subsystem: &str) -> String {
        match self {
            Self::Rust => format!("{subsystem}/benches/{subsystem}.rs"),
            Self::Python => format!("benchmarks/bench_{subsystem}.py"),
            Self::TypeScript => format!("benchmarks/{subsystem}.bench.ts"),
            Self::Go => format!("internal/{subsystem}/bench_test.go"),
            Self::Java => format!("benchmarks/src/{}Benchmark.java", pascal(subsystem)),
            Self::Cpp => format!("bench/{subsystem}_bench.cc"),
        }
    }

    /// Dependency manifest and lock file at the top.
    pub(crate) fn manifests(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["Cargo.toml", "Cargo.lock"],
            Self::Python => &["pyproject.toml", "uv.lock"],
            Self::TypeScript => &["package.json", "package-lock.json"],
            Self::Go => &["go.mod", "go.sum"],
            Self::Java => &["pom.xml"],
            Self::Cpp => &["CMakeLists.txt", "conanfile.txt"],
        }
    }

    /// What bots call the ecosystem.
    pub(crate) fn ecosystem(self) -> &'static str {
        match self {
            Self::Rust => "cargo",
            Self::Python => "pip",
            Self::TypeScript => "npm_and_yarn",
            Self::Go => "go_modules",
            Self::Java => "maven",
            Self::Cpp => "conan",
        }
    }

    pub(crate) fn dependencies(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &[
                "serde",
                "tokio",
                "hyper",
                "clap",
                "tracing",
                "rustls",
                "regex",
                "bytes",
                "uuid",
                "reqwest",
                "thiserror",
            ],
            Self::Python => &[
                "requests",
                "pydantic",
                "sqlalchemy",
                "pytest",
                "ruff",
                "numpy",
                "httpx",
                "click",
                "celery",
                "boto3",
                "jinja2",
            ],
            Self::TypeScript => &[
                "react",
                "vite",
                "typescript",
                "eslint",
                "zod",
                "axios",
                "lodash",
                "vitest",
                "webpack",
                "prettier",
                "express",
            ],
            Self::Go => &[
                "google.golang.org/grpc",
                "golang.org/x/net",
                "golang.org/x/crypto",
                "github.com/stretchr/testify",
                "go.uber.org/zap",
                "github.com/spf13/cobra",
            ],
            Self::Java => {
                &["spring-boot", "jackson-databind", "junit-jupiter", "guava", "netty", "slf4j-api", "hikaricp"]
            }
            Self::Cpp => &["fmt", "spdlog", "openssl", "zlib", "protobuf", "gtest", "abseil"],
        }
    }
}

fn slashed(directory: &str) -> String {
    if directory.is_empty() { String::new() } else { format!("{directory}/") }
}

/// `token_refresh` to `TokenRefresh`.
fn pascal(stem: &str) -> String {
    let capital = |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
    stem.split('_').map(capital).collect()
}

/// `write-ahead log` to `write_ahead_log`.
pub(crate) fn stem(noun: &str) -> String {
    noun.to_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_look_like_the_languages_own() {
        assert_eq!(Language::Rust.source("atlas", "auth", "", "token_refresh"), "auth/src/token_refresh.rs");
        assert_eq!(
            Language::Java.test("atlas", "auth", "handlers", &stem("token refresh")),
            "auth/src/test/java/com/atlas/auth/handlers/TokenRefreshTest.java"
        );
        assert_eq!(Language::TypeScript.source("atlas", "ui", "", "date_picker"), "packages/ui/src/DatePicker.tsx");
    }
}
