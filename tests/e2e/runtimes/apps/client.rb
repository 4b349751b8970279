# An app that knows nothing of the gateway: Ruby's own net/http, as its users call it.
# One line of tab-separated fields for each call; one JSON line for each answer.
require "json"
require "net/http"

def answer_of(variable, base, path, headers, body, stream)
  uri = URI((ENV[variable] || base) + path)
  request = Net::HTTP::Post.new(uri)
  headers.split("|").each { |field| request.[]=(*field.split(": ", 2)) }
  request.body = body
  Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https") do |http|
    found = +""
    answer = http.request(request) { |read| stream ? read.read_body { |part| found << part } : found << read.body }
    { status: answer.code.to_i, body: found.unpack1("H*") }
  end
rescue StandardError => e
  { error: "#{e.class}: #{e.message}".unpack1("H*") }
end

$stdin.each_line(chomp: true) do |line|
  id, _, variable, base, path, headers, body, _, _, _, stream, = line.split("\t")
  said = answer_of(variable, base, path, headers, body, stream == "1")
  puts JSON.generate({ id: id, version: RUBY_VERSION }.merge(said))
end
