<?php
// Asks a URL once by curl and once by a stream, and prints what came back. See canary.py.
[, $token, $url, $base] = array_pad($argv, 4, "");

function fields(array $lines): array
{
    $found = ["status" => 0, "echo" => "", "flow" => ""];
    foreach ($lines as $line) {
        if (preg_match('#^HTTP/\S+ (\d+)#', $line, $parts)) {
            $found["status"] = (int) $parts[1];
        }
        [$name, $value] = array_map("trim", array_pad(explode(":", $line, 2), 2, ""));
        $known = ["x-whygate-canary" => "echo", "x-whygate-flow-id" => "flow"][strtolower($name)] ?? null;
        if ($known !== null) {
            $found[$known] = $value;
        }
    }
    return $found["status"] ? $found : ["error" => "no answer"];
}

function with_curl(string $place, string $token): array
{
    $lines = [];
    $handle = curl_init($place);
    curl_setopt_array($handle, [
        CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 10, CURLOPT_HTTPHEADER => ["x-whygate-canary: $token"],
        CURLOPT_HEADERFUNCTION => function ($_, $line) use (&$lines) {
            $lines[] = $line;
            return strlen($line);
        },
    ]);
    return curl_exec($handle) === false ? ["error" => curl_error($handle)] : fields($lines);
}

function with_streams(string $place, string $token): array
{
    $context = stream_context_create(["http" => [
        "header" => "x-whygate-canary: $token", "timeout" => 10, "ignore_errors" => true, "follow_location" => 0,
    ]]);
    if (@file_get_contents($place, false, $context) === false) {
        return ["error" => error_get_last()["message"] ?? "no answer"];
    }
    return fields($http_response_header);
}

$means = [];
foreach (function_exists("curl_init") ? ["curl", "streams"] : ["streams"] as $name) {
    foreach (array_filter(["proxy" => $url, "base_url" => $base === "" ? "" : "$base/models"]) as $way => $place) {
        $means[] = ["name" => $name, "way" => $way] + ("with_$name")($place, $token);
    }
}
echo json_encode(["whygate_canary" => "PHP " . PHP_VERSION, "means" => $means], JSON_INVALID_UTF8_SUBSTITUTE), "\n";
