<?php
// An app that knows nothing of the gateway: PHP's curl extension and its own streams, as their users call them.
// One line of tab-separated fields for each call; one JSON line for each answer.

function with_curl(string $url, array $headers, string $body, bool $stream): array
{
    $found = '';
    $handle = curl_init($url);
    curl_setopt_array($handle, [CURLOPT_POSTFIELDS => $body, CURLOPT_HTTPHEADER => $headers]);
    curl_setopt($handle, CURLOPT_RETURNTRANSFER, true);
    if ($stream) {
        curl_setopt($handle, CURLOPT_WRITEFUNCTION, function ($_, string $part) use (&$found): int {
            $found .= $part;
            return strlen($part);
        });
    }
    $whole = curl_exec($handle);
    if ($whole === false) {
        return ['error' => bin2hex(curl_error($handle))];
    }
    return ['status' => curl_getinfo($handle, CURLINFO_RESPONSE_CODE), 'body' => bin2hex($stream ? $found : $whole)];
}

function with_streams(string $url, array $headers, string $body, bool $stream): array
{
    $options = ['http' => ['method' => 'POST', 'header' => $headers, 'content' => $body, 'ignore_errors' => true]];
    $opened = @fopen($url, 'r', false, stream_context_create($options));
    if ($opened === false) {
        return ['error' => bin2hex(error_get_last()['message'])];
    }
    $found = '';
    while (($line = fgets($opened)) !== false) {
        $found .= $line;
    }
    return ['status' => (int) explode(' ', $http_response_header[0])[1], 'body' => bin2hex($found)];
}

while (($line = fgets(STDIN)) !== false) {
    [$id, $client, $variable, $base, $path, $headers, $body, , , , $stream] = explode("\t", rtrim($line, "\n"));
    $call = $client === 'curl' ? 'with_curl' : 'with_streams';
    $said = $call((getenv($variable) ?: $base) . $path, explode('|', $headers), $body, $stream === '1');
    echo json_encode(['id' => $id, 'version' => PHP_VERSION] + $said), "\n";
}
