defmodule TenonHarness.Log do
  @moduledoc """
  The event lines of a Tenon node: `key=value`, values with spaces in double quotes.
  """

  @pair ~r/([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/

  @doc "The pairs of a line as a map of strings."
  def parse(line) do
    for [_all, key | value] <- Regex.scan(@pair, line), into: %{}, do: {key, List.last(value)}
  end

  @doc "The pairs of a line when it is this event and has at least these pairs, else nil."
  def match(line, event, expected \\ []) do
    pairs = parse(line)

    if pairs["event"] == to_string(event) and
         Enum.all?(expected, fn {key, value} -> pairs[to_string(key)] == to_string(value) end) do
      pairs
    end
  end
end
