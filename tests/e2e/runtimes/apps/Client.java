import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.stream.Collectors;

/**
 * An app that knows nothing of the gateway: Java's two own clients, as their users call them. One line of tab-separated
 * fields for each call; one JSON line for each answer.
 */
public class Client {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    record Raw(int status, byte[] body) {}

    static Raw withHttpClient(String url, String[] headers, String body, boolean stream) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url)).POST(HttpRequest.BodyPublishers.ofString(body));
        for (String header : headers) {
            String[] field = header.split(": ", 2);
            request.header(field[0], field[1]);
        }
        if (!stream) {
            var answer = CLIENT.send(request.build(), BodyHandlers.ofByteArray());
            return new Raw(answer.statusCode(), answer.body());
        }
        var answer = CLIENT.send(request.build(), BodyHandlers.ofLines());
        String lines = answer.body().collect(Collectors.joining("\n"));
        return new Raw(answer.statusCode(), lines.getBytes(StandardCharsets.UTF_8));
    }

    static Raw withUrlConnection(String url, String[] headers, String body, boolean stream) throws Exception {
        var connection = (HttpURLConnection) new URL(url).openConnection();
        connection.setRequestMethod("POST");
        connection.setDoOutput(true);
        for (String header : headers) {
            String[] field = header.split(": ", 2);
            connection.setRequestProperty(field[0], field[1]);
        }
        connection.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
        int status = connection.getResponseCode();
        try (InputStream found = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
            return new Raw(status, found.readAllBytes());
        }
    }

    static String answerOf(String[] job) {
        String base = System.getenv(job[2]);
        String url = (base == null ? job[3] : base) + job[4];
        String[] headers = job[5].split("\\|");
        boolean stream = job[10].equals("1");
        try {
            Raw found = job[1].equals("HttpClient")
                ? withHttpClient(url, headers, job[6], stream)
                : withUrlConnection(url, headers, job[6], stream);
            return "\"status\":" + found.status() + ",\"body\":\"" + HexFormat.of().formatHex(found.body()) + "\"";
        } catch (Exception e) {
            return "\"error\":\"" + HexFormat.of().formatHex(e.toString().getBytes(StandardCharsets.UTF_8)) + "\"";
        }
    }

    public static void main(String[] arguments) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] job = line.split("\t");
            String version = System.getProperty("java.version");
            System.out.println("{\"id\":\"" + job[0] + "\",\"version\":\"" + version + "\"," + answerOf(job) + "}");
        }
    }
}
