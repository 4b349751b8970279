// Asks a URL once by java.net.http and once by HttpURLConnection, and prints what came back. See canary.py.
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

class Canary {
    static final String HEADER = "x-whygate-canary", FLOW = "x-whygate-flow-id";

    interface Means { String ask(String url, String token) throws Exception; }

    static String found(int status, String echo, String flow) {
        return "\"status\":" + status + ",\"echo\":" + text(echo) + ",\"flow\":" + text(flow);
    }

    static String text(String value) {
        String safe = value == null ? "" : value.replaceAll("[^ -~]|[\"\\\\]", "?");
        return "\"" + safe + "\"";
    }

    static String client(String url, String token) throws Exception {
        var client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
        var request = HttpRequest.newBuilder(URI.create(url)).header(HEADER, token).timeout(Duration.ofSeconds(10));
        var answer = client.send(request.build(), BodyHandlers.discarding());
        return found(answer.statusCode(), answer.headers().firstValue(HEADER).orElse(""),
            answer.headers().firstValue(FLOW).orElse(""));
    }

    static String connection(String url, String token) throws Exception {
        var connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setRequestProperty(HEADER, token);
        connection.setConnectTimeout(10_000);
        connection.setReadTimeout(10_000);
        int status = connection.getResponseCode();
        return found(status, connection.getHeaderField(HEADER), connection.getHeaderField(FLOW));
    }

    static void attempt(List<String> means, String name, Means by, String way, String url, String token) {
        String found;
        try {
            found = by.ask(url, token);
        } catch (Exception error) {
            found = "\"error\":" + text(error + (error.getCause() == null ? "" : "; " + error.getCause()));
        }
        means.add("{\"name\":\"" + name + "\",\"way\":\"" + way + "\"," + found + "}");
    }

    public static void main(String[] args) {
        List<String> means = new ArrayList<>();
        for (String name : List.of("HttpClient", "HttpURLConnection")) {
            Means by = name.equals("HttpClient") ? Canary::client : Canary::connection;
            attempt(means, name, by, "proxy", args[1], args[0]);
            if (!args[2].isEmpty()) {
                attempt(means, name, by, "base_url", args[2] + "/models", args[0]);
            }
        }
        System.out.println("{\"whygate_canary\":" + text("Java " + System.getProperty("java.version"))
            + ",\"means\":[" + String.join(",", means) + "]}");
        System.exit(0);
    }
}
