[
  inputs: [
    "mix.exs",
    ".formatter.exs",
    "{lib,test,demo}/**/*.{ex,exs}",
    "../test/bench/*.exs"
  ],
  subdirectories: ["x3m_system"],
  locals_without_parens: [service: 2, service: 3, servicep: 2, servicep: 3, on: 2, on: 3]
]
