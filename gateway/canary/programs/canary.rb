# Asks a URL once by net/http, and prints what came back. See canary.py.
require "json"
require "net/http"

token, url, base = ARGV
means = [["proxy", url], *(base.to_s.empty? ? [] : [["base_url", "#{base}/models"]])].map do |way, place|
  uri = URI(place)
  options = { use_ssl: uri.scheme == "https", open_timeout: 10, read_timeout: 10 }
  answer = Net::HTTP.start(uri.host, uri.port, options) { |http| http.get(uri.request_uri, "x-whygate-canary" => token) }
  { name: "net/http", way: way, status: answer.code.to_i, echo: answer["x-whygate-canary"].to_s,
    flow: answer["x-whygate-flow-id"].to_s }
rescue StandardError => e
  { name: "net/http", way: way, error: "#{e.class}: #{e.message}" }
end
puts JSON.generate({ whygate_canary: "Ruby #{RUBY_VERSION}", means: means })
