//! What the service tells of itself: figures, the last answers, drift, and the page that shows them.

use serde_json::{Value, json};

use crate::{
    fixture::{TempStore, document, new_document, odd_document},
    programs::{Server, head_and_body, header},
};

fn ask(server: &Server, path: &str) -> Value {
    let (status, kind, text) = server.http("GET", path, b"");
    assert_eq!((status, kind.as_str()), (200, "application/json"), "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_last_answers_are_told_the_newest_first() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    assert_eq!(ask(&server, "/v1/recent"), json!({"answers": []}));
    server.post(new_document().to_string().as_bytes());
    std::thread::sleep(std::time::Duration::from_millis(150));
    let answer = server.post(odd_document().to_string().as_bytes()).2;
    let recent = ask(&server, "/v1/recent");
    assert_eq!(recent["answers"].as_array().unwrap().len(), 2);
    assert_eq!(recent["answers"][0]["response"], answer);
    assert_eq!(recent["answers"][0]["title"], "Quick hack to the login");
}

/// What is like the rest moves nothing; what is larger moves the features that tell of size.
#[test]
fn drift_is_seen_where_there_is_some() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let send = |documents: Vec<Value>| {
        // A sample of a second is bounded, so that they come in several.
        for documents in documents.chunks(90) {
            let (status, _, answer) = server.post(json!(documents).to_string().as_bytes());
            assert_eq!((status, answer["results"].as_array().unwrap().len()), (200, documents.len()));
            std::thread::sleep(std::time::Duration::from_millis(1_050));
        }
    };
    let like: Vec<Value> = (0..240).map(|number| document(1 + number % 120)).collect();
    send(like[..90].to_vec());
    assert_eq!(ask(&server, "/v1/drift")["rows"], 0, "the past is scored with what came later");
    let opened_now = |mut document: Value| {
        let (_, time) = document["created_at"].as_str().unwrap().split_once('T').unwrap();
        document["created_at"] = json!(format!("2024-05-10T{time}"));
        document
    };
    let like: Vec<Value> = like.into_iter().map(opened_now).collect();
    send(like.clone());
    let drift = ask(&server, "/v1/drift");
    assert!(drift["rows"].as_u64().unwrap() >= 200, "{}", drift["rows"]);
    let psi = |drift: &Value, name: &str| {
        let features = drift["features"].as_array().unwrap().clone();
        features.into_iter().find(|feature| feature["name"] == name).unwrap()["psi"].as_f64().unwrap()
    };
    assert!(psi(&drift, "additions") < 0.1 && psi(&drift, "title_length") < 0.1, "{}", drift["features"][0]);
    let larger = |mut document: Value| {
        document["additions"] = json!(90_000);
        document["files"][0]["additions"] = json!(89_999);
        document
    };
    send(like.into_iter().map(larger).collect());
    let drift = ask(&server, "/v1/drift");
    assert!(psi(&drift, "additions") > 0.25 && psi(&drift, "title_length") < 0.1);
    let groups: Vec<_> = drift["features"].as_array().unwrap().iter().map(|feature| &feature["group"]).collect();
    assert!(groups.contains(&&json!("size")), "{groups:?}");
    assert!(!groups.contains(&&json!("repository")), "what stands still cannot drift");
    let names: Vec<_> = drift["features"].as_array().unwrap().iter().map(|feature| &feature["name"]).collect();
    for of_history in ["author_opened", "author_days_since_last", "file_days_min"] {
        assert!(!names.contains(&&json!(of_history)), "{of_history}");
    }
    assert!(names.contains(&&json!("author_knows_files")), "{names:?}");
    let first = drift["features"][0]["psi"].as_f64().unwrap();
    assert!(drift["features"].as_array().unwrap().iter().all(|feature| feature["psi"].as_f64().unwrap() <= first));
    let shares = |side: &str| {
        let bins = drift["features"][0]["bins"].as_array().unwrap();
        bins.iter().map(|bin| bin[side].as_f64().unwrap()).sum::<f64>()
    };
    assert!((shares("now") - 1.0).abs() < 1e-6 && (shares("training") - 1.0).abs() < 1e-3);
    let metrics = server.http("GET", "/metrics", b"").2;
    let line = metrics.lines().find(|line| line.starts_with("prowl_drift_psi{feature=\"additions\"} ")).unwrap();
    assert!(line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.25, "{line}");
}

#[test]
fn figures_are_told_in_prometheus_form() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    server.post(new_document().to_string().as_bytes());
    server.post(b"nonsense");
    let (status, kind, text) = server.http("GET", "/metrics", b"");
    assert!(status == 200 && kind.starts_with("text/plain"), "{kind}");
    for begin in [
        "http_requests_total{route=\"/v1/score\",status=\"200\"} 1",
        "http_requests_total{route=\"/v1/score\",status=\"400\"} 1",
        "prowl_score_count 1",
        "prowl_model_info{digest=",
        "prowl_history_as_of_timestamp_seconds 1719751500",
        "prowl_history_age_seconds ",
        "prowl_in_flight ",
        "prowl_drift_rows 1",
    ] {
        assert!(text.lines().any(|line| line.starts_with(begin)), "{begin}\n{text}");
    }
}

#[test]
fn the_page_and_all_that_it_needs_come_from_here() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &[]);
    let (head, page) = head_and_body(server.http_head("GET", "/", 0, ""));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(header(&head, "content-security-policy").unwrap().contains("default-src 'self'"));
    assert!(page.contains("<h1>Prowl</h1>"));
    let script = server.http("GET", "/page.js", b"").2;
    let named = [&page, &script].into_iter().flat_map(|text| text.split(['"', '\'']));
    let files: Vec<&str> = named.filter(|name| matches!(name.rsplit_once('.'), Some((_, "js" | "css")))).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let path = file.trim_start_matches('.');
        assert_eq!(server.http("GET", path, b"").0, 200, "{path}");
    }
    let model = ask(&server, "/v1/model");
    assert_eq!(model["anomaly_quantiles"].as_array().unwrap().len(), 101);
}

/// Every path that is described is there, and every field of an answer is described.
#[test]
fn the_description_of_the_port_is_that_of_the_port() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--feedback"]);
    let described = ask(&server, "/openapi.json");
    let document = new_document().to_string();
    let tensor = json!({"name": "pull_request", "datatype": "BYTES", "shape": [1], "data": [document]});
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() >= 16, "{paths:?}");
    for (path, of) in paths {
        let method = if of.get("post").is_some() { "POST" } else { "GET" };
        let body = match path.as_str() {
            "/v1/feedback" => json!({"repository": "tideworks/harbour", "number": 1, "reverted": false}).to_string(),
            "/v2/models/{model}/infer" => json!({"inputs": [tensor]}).to_string(),
            _ => document.clone(),
        };
        let status = server.http(method, &path.replace("{model}", "prowl"), body.as_bytes()).0;
        // Without a secret of GitHub's nobody can sign what it takes.
        assert_eq!(status, if path == "/webhooks/github" { 501 } else { 200 }, "{method} {path}");
    }
    let schemas = &described["components"]["schemas"];
    let answer = server.post(odd_document().to_string().as_bytes()).2;
    for (name, of) in [("ScoreResponse", &answer), ("Reason", &answer["reasons"][0]), ("ModelId", &answer["model"])] {
        for field in of.as_object().unwrap().keys() {
            assert!(schemas[name]["properties"].get(field).is_some(), "{name}.{field}");
        }
    }
}

#[test]
fn a_list_is_answered_one_by_one() {
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--max-batch", "3"]);
    let (status, _, answer) =
        server.post(json!([new_document(), {"number": 1}, odd_document()]).to_string().as_bytes());
    let results = answer["results"].as_array().unwrap();
    assert_eq!((status, results.len()), (200, 3));
    assert_eq!(results[0]["response"]["number"], new_document()["number"]);
    assert_eq!(results[1]["error"]["field_violations"][0]["field"], "base.repo.full_name");
    assert!(results[2]["response"]["percentile"].as_f64().unwrap() > 90.0);
    assert_eq!(server.post(json!([1, 2, 3, 4]).to_string().as_bytes()).0, 422);
    assert_eq!(server.post(b" []").2, json!({"results": []}));
    assert_eq!(server.post(b"[{}").0, 400);
}
